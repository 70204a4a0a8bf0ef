-- A scrap of a long period is divided into slices, scraps of their own that run side by side; it itself is 'dividido', is never run, and
-- is what its slices add up to. Of how many slices a scrap consists, and whose slice it is:
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS fatias INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS fatia_de BIGINT REFERENCES scraps(id) ON DELETE CASCADE;
CREATE INDEX IF NOT EXISTS scraps_fatias ON scraps (fatia_de) WHERE fatia_de IS NOT NULL;
