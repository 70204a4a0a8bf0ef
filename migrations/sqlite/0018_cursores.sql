-- The cursors of pages that are done are needed by nothing, and signed URLs, sessions and pieces of records may stand in them: a
-- page is known by its cursor's hash. From now on they are erased when a scrap's run ends; here, those of all runs before.
UPDATE scrap_cursores SET cursor = NULL WHERE estado <> 'pendente' AND cursor IS NOT NULL;
UPDATE dados_rejeitados SET cursor = NULL WHERE cursor IS NOT NULL AND NOT EXISTS (SELECT 1 FROM scrap_cursores c
    WHERE c.scrap_id = dados_rejeitados.scrap_id AND c.cursor_hash = dados_rejeitados.cursor_hash AND c.estado = 'pendente');
