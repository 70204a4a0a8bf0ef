-- What a client's default token and address serve: the APIs (`tipo` is 'api') that the operator bound them to, and no others.
-- From before there was such a word, the routes of the client's scraps and schedules ('rota'): the first process that has the
-- connectors puts their APIs in their place, or, where a route's connector is missing, leaves them to be asked for ('pedida').
CREATE TABLE IF NOT EXISTS clientes_padrao (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    tipo TEXT NOT NULL,
    nome TEXT NOT NULL,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (cliente_id, tipo, nome)
);
INSERT INTO clientes_padrao (cliente_id, tipo, nome)
    SELECT r.cliente_id, 'rota', r.rota
    FROM (SELECT cliente_id, rota FROM scraps UNION SELECT cliente_id, rota FROM atlas_agendas) r
    WHERE EXISTS (SELECT 1 FROM clientes_apis a WHERE a.cliente_id = r.cliente_id AND a.api = '')
      AND NOT EXISTS (SELECT 1 FROM clientes_padrao)
    ON CONFLICT (cliente_id, tipo, nome) DO NOTHING;
