-- What a scrap is run with instead of what its host is set to: records a transaction, and attempts at a page.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS lote INTEGER;
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS tentativas_max INTEGER;
