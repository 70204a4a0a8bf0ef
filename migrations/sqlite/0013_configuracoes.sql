-- What a client has set of an API, a JSON object: of it, each route's scraps get what its connector's schema names.
CREATE TABLE IF NOT EXISTS clientes_configuracoes (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    configuracao TEXT NOT NULL,
    atualizado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (cliente_id, api)
);
