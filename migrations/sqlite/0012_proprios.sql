-- What a scrap is run with instead of what its host is set to: records a transaction, and attempts at a page.
ALTER TABLE scraps ADD COLUMN lote INTEGER;
ALTER TABLE scraps ADD COLUMN tentativas_max INTEGER;
