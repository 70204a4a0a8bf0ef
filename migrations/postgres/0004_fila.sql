-- Processes that run scraps. One that was not seen for as long as it said (validade_s) counts as dead, and what it ran is anybody's.
CREATE TABLE IF NOT EXISTS atlas_hosts (
    id TEXT PRIMARY KEY,
    nome TEXT NOT NULL,
    versao TEXT NOT NULL,
    validade_s INTEGER NOT NULL,
    iniciado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    visto_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

-- The scraps themselves are the queue that workers take from. Who runs it, or keeps it for itself before it does:
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS host TEXT;
-- When it was taken last: the client that has waited longest comes next.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS retirado_em TIMESTAMPTZ;
-- No worker takes it before; and one that is suspenso or interrompido, only if there is such a time.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS retomar_em TIMESTAMPTZ;
-- Runs in a row that a passing failure ended, and that brought no page.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS falhas INTEGER NOT NULL DEFAULT 0;
-- 0: as many as the connector says. So a scrap can be queued by an INSERT of client, route and period.
ALTER TABLE scraps ALTER COLUMN tamanho_pagina SET DEFAULT 0;
-- What somebody asks of whoever runs it: 'pausar'.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS pedido TEXT;
CREATE INDEX IF NOT EXISTS scraps_fila ON scraps (cliente_id, id)
    WHERE estado IN ('pendente', 'executando', 'suspenso', 'interrompido');
CREATE INDEX IF NOT EXISTS scraps_correndo ON scraps (cliente_id, host) WHERE estado = 'executando';
CREATE INDEX IF NOT EXISTS scraps_retirados ON scraps (cliente_id, retirado_em);
