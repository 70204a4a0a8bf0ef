-- Connectors that were published to all hosts. Of each route's, the newest (the greatest id) is to serve; those before it are kept
-- for scraps that began with them.
CREATE TABLE IF NOT EXISTS atlas_conectores (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rota TEXT NOT NULL,
    versao TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    componente BLOB NOT NULL,
    -- Its signature's file, if it has one.
    assinatura BLOB,
    -- Whether the operator accepted on every host, beforehand, what it asks for.
    aceito BOOLEAN NOT NULL DEFAULT FALSE,
    criado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS atlas_conectores_rota ON atlas_conectores (rota, id);
