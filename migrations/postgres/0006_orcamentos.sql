-- What is left of a client's budget of requests at an API, shared by all routes and all hosts. Times are seconds since 1970, by the
-- database's clock.
CREATE TABLE IF NOT EXISTS atlas_orcamentos (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    -- When the next request would be due if they came evenly.
    proxima DOUBLE PRECISION NOT NULL DEFAULT 0,
    -- The day that is counted, in days since 1970 by the budget's time zone, and how many requests it has had.
    dia BIGINT NOT NULL DEFAULT 0,
    gastos BIGINT NOT NULL DEFAULT 0,
    -- The source asked for no request before.
    livre_em DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (cliente_id, api)
);

-- Pages that are being fetched where an API takes only so many at once.
CREATE TABLE IF NOT EXISTS atlas_vagas (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    vaga BIGINT NOT NULL,
    -- Who has it: one that is not seen any more (atlas_hosts) has it no longer.
    host TEXT NOT NULL,
    PRIMARY KEY (cliente_id, api, vaga)
);
