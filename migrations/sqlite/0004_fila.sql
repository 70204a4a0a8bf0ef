-- The queue. See PostgreSQL's. Times are UTC, with milliseconds.
CREATE TABLE IF NOT EXISTS atlas_hosts (
    id TEXT PRIMARY KEY,
    nome TEXT NOT NULL,
    versao TEXT NOT NULL,
    validade_s INTEGER NOT NULL,
    iniciado_em TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    visto_em TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

ALTER TABLE scraps ADD COLUMN host TEXT;
ALTER TABLE scraps ADD COLUMN retirado_em TIMESTAMP;
ALTER TABLE scraps ADD COLUMN retomar_em TIMESTAMP;
ALTER TABLE scraps ADD COLUMN falhas INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scraps ADD COLUMN pedido TEXT;
CREATE INDEX IF NOT EXISTS scraps_fila ON scraps (cliente_id, id)
    WHERE estado IN ('pendente', 'executando', 'suspenso', 'interrompido');
CREATE INDEX IF NOT EXISTS scraps_correndo ON scraps (cliente_id, host) WHERE estado = 'executando';
CREATE INDEX IF NOT EXISTS scraps_retirados ON scraps (cliente_id, retirado_em);
