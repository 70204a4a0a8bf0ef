-- A credential of several parts for one API of a client, where a single token (clientes_apis.credencial) will not do: a
-- user's name and password, OAuth 2, an API's own keys. Both columns are sealed where the program has a key (ATLAS_KEY).
CREATE TABLE IF NOT EXISTS clientes_credenciais (
    cliente_id INTEGER NOT NULL,
    api TEXT NOT NULL,
    -- A JSON object: the parts by their names.
    partes TEXT NOT NULL,
    -- The OAuth 2 access token got last, and when to renew it. Locked with its row while it is renewed.
    acesso TEXT,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    atualizado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (cliente_id, api),
    FOREIGN KEY (cliente_id, api) REFERENCES clientes_apis(cliente_id, api) ON DELETE CASCADE
);
