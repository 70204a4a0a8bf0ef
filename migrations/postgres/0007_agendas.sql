-- Schedules: scraps that are created by themselves. Whatever worker sees first that one is due creates its scrap.
CREATE TABLE IF NOT EXISTS atlas_agendas (
    id BIGSERIAL PRIMARY KEY,
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    rota TEXT NOT NULL,
    -- Five fields, and the time zone that they are read in.
    cron TEXT NOT NULL,
    fuso TEXT NOT NULL,
    -- The days that a scrap asks for, the present one included. Null: the route takes no period.
    janela_dias INTEGER,
    tamanho_pagina INTEGER NOT NULL DEFAULT 0,
    -- Whether a scrap is created although the one before has not ended.
    sobrepor BOOLEAN NOT NULL DEFAULT FALSE,
    ativa BOOLEAN NOT NULL DEFAULT TRUE,
    -- When it is due, in seconds since 1970.
    proxima BIGINT NOT NULL,
    -- The scrap that it created last, and the last day that one asks for.
    ultimo_scrap BIGINT,
    ultimo_dia TEXT,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
