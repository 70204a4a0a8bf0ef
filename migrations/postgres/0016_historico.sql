-- What a scrap's runs said of themselves: the last lines of its log, each a message's key and its arguments (`aviso`, JSON). A line
-- takes the place (`lugar`) of the one that is too old. By client first, so that the oldest scraps' are found.
CREATE TABLE IF NOT EXISTS scrap_linhas (
    cliente_id INTEGER NOT NULL,
    scrap_id BIGINT NOT NULL REFERENCES scraps(id) ON DELETE CASCADE,
    lugar BIGINT NOT NULL,
    -- The how many-th line it is.
    ordem BIGINT NOT NULL,
    -- In milliseconds since 1970.
    em BIGINT NOT NULL,
    aviso TEXT NOT NULL,
    PRIMARY KEY (cliente_id, scrap_id, lugar)
);

-- How a scrap went, every two seconds that it ran; of a long one, fewer points.
CREATE TABLE IF NOT EXISTS scrap_ritmo (
    cliente_id INTEGER NOT NULL,
    scrap_id BIGINT NOT NULL REFERENCES scraps(id) ON DELETE CASCADE,
    ordem BIGINT NOT NULL,
    em BIGINT NOT NULL,
    por_segundo DOUBLE PRECISION NOT NULL,
    -- Null: no page came.
    pagina_ms DOUBLE PRECISION,
    PRIMARY KEY (cliente_id, scrap_id, ordem)
);
