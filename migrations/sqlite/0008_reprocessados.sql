-- When a rejected record was put into dados_raw after all, or was found there. It stays here, as what happened.
ALTER TABLE dados_rejeitados ADD COLUMN reprocessado_em TIMESTAMP;
