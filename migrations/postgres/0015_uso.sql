-- What is kept for each client, counted in the transaction that keeps it: no connector and no source fills a database that
-- others share. A counter may be too high where rows were deleted by hand: it is counted anew before it stops anything.
CREATE TABLE IF NOT EXISTS atlas_uso (
    cliente_id INTEGER PRIMARY KEY REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    -- Rejected records (dados_rejeitados).
    rejeitados BIGINT NOT NULL DEFAULT 0,
    rejeitados_bytes BIGINT NOT NULL DEFAULT 0,
    -- Cursors (scrap_cursores).
    cursores BIGINT NOT NULL DEFAULT 0,
    cursores_bytes BIGINT NOT NULL DEFAULT 0,
    -- Rows in dados_raw of pages that are done.
    registros BIGINT NOT NULL DEFAULT 0,
    registros_bytes BIGINT NOT NULL DEFAULT 0
);

-- The bytes of the cursors in a scrap's frontier.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS fronteira_bytes BIGINT NOT NULL DEFAULT 0;
UPDATE scraps SET fronteira_bytes = (SELECT COALESCE(SUM(OCTET_LENGTH(c.cursor)), 0) FROM scrap_cursores c
    WHERE c.scrap_id = scraps.id AND c.estado = 'pendente') WHERE fronteira > 0 AND fronteira_bytes = 0;
