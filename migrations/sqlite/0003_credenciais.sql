-- A credential of several parts for one API of a client. See PostgreSQL's.
CREATE TABLE IF NOT EXISTS clientes_credenciais (
    cliente_id INTEGER NOT NULL,
    api TEXT NOT NULL,
    partes TEXT NOT NULL,
    acesso TEXT,
    criado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    atualizado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (cliente_id, api),
    FOREIGN KEY (cliente_id, api) REFERENCES clientes_apis(cliente_id, api) ON DELETE CASCADE
);
