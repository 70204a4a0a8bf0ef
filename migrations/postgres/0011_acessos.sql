-- What opens the page and the API: the operator's password (Argon2id), one-time links, sessions of browsers, tokens of programs. Of all
-- but the password the SHA-256 of a random secret, which stands nowhere. Times that decide are Unix seconds.
CREATE TABLE IF NOT EXISTS atlas_acessos (
    id BIGSERIAL PRIMARY KEY,
    tipo TEXT NOT NULL,
    -- What people call it.
    nome TEXT NOT NULL,
    segredo TEXT UNIQUE NOT NULL,
    -- 'total' or 'leitura'.
    escopo TEXT NOT NULL,
    expira_em BIGINT,
    visto_em BIGINT,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
-- What programs asked for under a key of theirs (`Idempotency-Key`), and what they were answered.
CREATE TABLE IF NOT EXISTS atlas_pedidos (
    acesso_id BIGINT NOT NULL REFERENCES atlas_acessos(id) ON DELETE CASCADE,
    chave TEXT NOT NULL,
    -- The SHA-256 of what was asked.
    pedido TEXT NOT NULL,
    -- None while it is worked on.
    situacao INTEGER,
    resposta TEXT,
    feito_em BIGINT NOT NULL,
    PRIMARY KEY (acesso_id, chave)
);
-- For whoever watches what becomes of scraps.
CREATE INDEX IF NOT EXISTS scraps_terminados ON scraps (terminado_em);
