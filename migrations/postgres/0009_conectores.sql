-- Connectors that were published to all hosts. Of each route's, the newest (the greatest id) is to serve; those before it are kept
-- for scraps that began with them.
CREATE TABLE IF NOT EXISTS atlas_conectores (
    id BIGSERIAL PRIMARY KEY,
    rota TEXT NOT NULL,
    versao TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    componente BYTEA NOT NULL,
    -- Its signature's file, if it has one.
    assinatura BYTEA,
    -- Whether the operator accepted on every host, beforehand, what it asks for.
    aceito BOOLEAN NOT NULL DEFAULT FALSE,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS atlas_conectores_rota ON atlas_conectores (rota, id);
