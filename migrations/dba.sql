-- Atlas Data Flow's tables, to be created by hand on PostgreSQL: for installations where the program's own role may not
-- create tables. The result is the same, column for column, as what the program makes by itself (migrations/postgres).
--
-- How a DBA runs it, once, as the role that is to own the tables:
--
--     psql --single-transaction --set ON_ERROR_STOP=1 --file migrations/dba.sql \
--          "host=SERVER port=5432 dbname=DATABASE user=OWNER"
--
-- Either everything is created or nothing is. It may be run again, and on a database that holds clientes_tokens and dados_raw
-- already: what exists is left as it is, and what an older copy lacks is added. The tables go into the first schema of
-- OWNER's search_path; the program's role must find them there.
--
-- Then let the program's role use them: see the GRANTs at the end. `atlas db status` says whether every table is there, and
-- `atlas doctor`, run with the program's own settings, whether its role can read them.

-- The tables that the users already have. A database that holds them is adopted as it stands: what exists is left alone,
-- what an older copy lacks is added.

CREATE TABLE IF NOT EXISTS clientes_tokens (
    id SERIAL PRIMARY KEY,
    cliente_id INTEGER UNIQUE NOT NULL,
    token TEXT NOT NULL,
    ativo BOOLEAN DEFAULT TRUE,
    criado_em TIMESTAMP DEFAULT NOW(),
    atualizado_em TIMESTAMP DEFAULT NOW()
);
ALTER TABLE clientes_tokens ADD COLUMN IF NOT EXISTS ativo BOOLEAN DEFAULT TRUE;
ALTER TABLE clientes_tokens ADD COLUMN IF NOT EXISTS criado_em TIMESTAMP DEFAULT NOW();
ALTER TABLE clientes_tokens ADD COLUMN IF NOT EXISTS atualizado_em TIMESTAMP DEFAULT NOW();

CREATE TABLE IF NOT EXISTS dados_raw (
    id BIGSERIAL PRIMARY KEY,
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id),
    data_coleta TIMESTAMP DEFAULT NOW(),
    origem TEXT NOT NULL,
    payload JSONB NOT NULL,
    hash_conteudo TEXT UNIQUE
);
ALTER TABLE dados_raw ADD COLUMN IF NOT EXISTS data_coleta TIMESTAMP DEFAULT NOW();
ALTER TABLE dados_raw ADD COLUMN IF NOT EXISTS hash_conteudo TEXT UNIQUE;

-- Where a client's API is, and its credential there. The API with the empty name is the client's default, whose
-- credential is clientes_tokens.token.
CREATE TABLE IF NOT EXISTS clientes_apis (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    base_url TEXT NOT NULL,
    credencial TEXT,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    atualizado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (cliente_id, api)
);
-- Whether the API may be at an address that is not public (private, loopback): granted by whoever set the base URL.
ALTER TABLE clientes_apis ADD COLUMN IF NOT EXISTS rede_privada BOOLEAN NOT NULL DEFAULT TRUE;

-- One job: client, route, period. The counts are the sums over its pages, set with each checkpoint.
CREATE TABLE IF NOT EXISTS scraps (
    id BIGSERIAL PRIMARY KEY,
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id),
    rota TEXT NOT NULL,
    periodo_inicio TEXT,
    periodo_fim TEXT,
    tamanho_pagina INTEGER NOT NULL,
    configuracao TEXT NOT NULL DEFAULT '{}',
    estado TEXT NOT NULL DEFAULT 'pendente',
    motivo TEXT,
    -- Raised by each claim and each cancel: whoever holds an older one adds nothing any more.
    epoca BIGINT NOT NULL DEFAULT 0,
    varredura INTEGER NOT NULL DEFAULT 0,
    fronteira BIGINT NOT NULL DEFAULT 0,
    paginas BIGINT NOT NULL DEFAULT 0,
    lidos BIGINT NOT NULL DEFAULT 0,
    inseridos BIGINT NOT NULL DEFAULT 0,
    duplicados BIGINT NOT NULL DEFAULT 0,
    reencontrados BIGINT NOT NULL DEFAULT 0,
    rejeitados BIGINT NOT NULL DEFAULT 0,
    total_declarado BIGINT,
    formato_cursor BIGINT,
    conector_versao TEXT,
    conector_sha256 TEXT,
    duracao_ms BIGINT NOT NULL DEFAULT 0,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    iniciado_em TIMESTAMPTZ,
    terminado_em TIMESTAMPTZ
);
CREATE INDEX IF NOT EXISTS scraps_cliente ON scraps (cliente_id, id);

-- The frontier: every cursor that a scrap knows, and what became of its page. A cursor is known by the SHA-256 of its text
-- (32 zero bytes for the first page, which has none), since its text may be too long for an index.
CREATE TABLE IF NOT EXISTS scrap_cursores (
    scrap_id BIGINT NOT NULL REFERENCES scraps(id) ON DELETE CASCADE,
    varredura INTEGER NOT NULL,
    cursor_hash BYTEA NOT NULL,
    ordem BIGSERIAL,
    cursor TEXT,
    pai_hash BYTEA,
    profundidade INTEGER NOT NULL DEFAULT 0,
    estado TEXT NOT NULL DEFAULT 'pendente',
    iniciado BOOLEAN NOT NULL DEFAULT FALSE,
    tentativas INTEGER NOT NULL DEFAULT 0,
    lidos BIGINT NOT NULL DEFAULT 0,
    inseridos BIGINT NOT NULL DEFAULT 0,
    duplicados BIGINT NOT NULL DEFAULT 0,
    reencontrados BIGINT NOT NULL DEFAULT 0,
    rejeitados BIGINT NOT NULL DEFAULT 0,
    total_declarado BIGINT,
    -- What the page held: a hash over the identity of its records, one over all of their content, one over its branches.
    membros BYTEA,
    conteudo BYTEA,
    ramos BYTEA,
    -- How many pages of its chain in a row, itself included, carried the very same records.
    repeticoes INTEGER NOT NULL DEFAULT 1,
    conector_sha256 TEXT,
    gravado_em TIMESTAMPTZ,
    PRIMARY KEY (scrap_id, varredura, cursor_hash)
);
CREATE INDEX IF NOT EXISTS scrap_cursores_pendentes ON scrap_cursores (scrap_id, varredura, ordem)
    WHERE estado = 'pendente';

-- Records that the table could not hold, with the reason and the bytes. Unique per scrap, cursor and position; and by
-- content, so that a page that changed between two readings loses neither version.
CREATE TABLE IF NOT EXISTS dados_rejeitados (
    id BIGSERIAL PRIMARY KEY,
    scrap_id BIGINT NOT NULL REFERENCES scraps(id) ON DELETE CASCADE,
    cliente_id INTEGER NOT NULL,
    origem TEXT NOT NULL,
    cursor_hash BYTEA NOT NULL,
    cursor TEXT,
    posicao BIGINT NOT NULL,
    conteudo_hash BYTEA NOT NULL,
    codigo TEXT NOT NULL,
    motivo TEXT NOT NULL,
    conteudo BYTEA NOT NULL,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    UNIQUE (scrap_id, cursor_hash, posicao, conteudo_hash)
);

-- A credential of several parts for one API of a client, where a single token (clientes_apis.credencial) will not do: a
-- user's name and password, OAuth 2, an API's own keys. Both columns are sealed where the program has a key (ATLAS_KEY).
CREATE TABLE IF NOT EXISTS clientes_credenciais (
    cliente_id INTEGER NOT NULL,
    api TEXT NOT NULL,
    -- A JSON object: the parts by their names.
    partes TEXT NOT NULL,
    -- The OAuth 2 access token got last, and when to renew it.
    acesso TEXT,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    atualizado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (cliente_id, api),
    FOREIGN KEY (cliente_id, api) REFERENCES clientes_apis(cliente_id, api) ON DELETE CASCADE
);

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

-- Who renews the access token, and until when nobody else may try: a renewal asks a server elsewhere, which takes as long as it
-- takes, and no transaction stays open for that.
ALTER TABLE clientes_credenciais ADD COLUMN IF NOT EXISTS renovando TEXT;
ALTER TABLE clientes_credenciais ADD COLUMN IF NOT EXISTS renovando_ate TIMESTAMPTZ;

-- What is left of a client's budget of requests at an API, shared by all routes and all hosts. Times are seconds since 1970, by the
-- database's clock.
CREATE TABLE IF NOT EXISTS atlas_orcamentos (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    -- When the next request would be due if they came evenly.
    proxima DOUBLE PRECISION NOT NULL DEFAULT 0,
    -- The day that is counted, in days since 1970 by the budget's time zone, and how many requests it has had.
    dia BIGINT NOT NULL DEFAULT 0,
    gastos BIGINT NOT NULL DEFAULT 0,
    -- The source asked for no request before.
    livre_em DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (cliente_id, api)
);

-- Pages that are being fetched where an API takes only so many at once.
CREATE TABLE IF NOT EXISTS atlas_vagas (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    vaga BIGINT NOT NULL,
    -- Who has it: one that is not seen any more (atlas_hosts) has it no longer.
    host TEXT NOT NULL,
    PRIMARY KEY (cliente_id, api, vaga)
);

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

-- When a rejected record was put into dados_raw after all, or was found there. It stays here, as what happened.
ALTER TABLE dados_rejeitados ADD COLUMN IF NOT EXISTS reprocessado_em TIMESTAMPTZ;

-- Connectors that were published to all hosts. Of each route's, the newest (the greatest id) is to serve; those before it are kept
-- for scraps that began with them.
CREATE TABLE IF NOT EXISTS atlas_conectores (
    id BIGSERIAL PRIMARY KEY,
    rota TEXT NOT NULL,
    versao TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    componente BYTEA NOT NULL,
    -- Its signature's file, if it has one.
    assinatura BYTEA,
    -- Whether the operator accepted on every host, beforehand, what it asks for.
    aceito BOOLEAN NOT NULL DEFAULT FALSE,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS atlas_conectores_rota ON atlas_conectores (rota, id);

-- A scrap of a long period is divided into slices, scraps of their own that run side by side; it itself is 'dividido', is never run, and
-- is what its slices add up to. Of how many slices a scrap consists, and whose slice it is:
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS fatias INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS fatia_de BIGINT REFERENCES scraps(id) ON DELETE CASCADE;
CREATE INDEX IF NOT EXISTS scraps_fatias ON scraps (fatia_de) WHERE fatia_de IS NOT NULL;

-- What opens the page and the API: the operator's password (Argon2id), one-time links, sessions of browsers, tokens of programs. Of all
-- but the password the SHA-256 of a random secret, which stands nowhere. Times that decide are Unix seconds.
CREATE TABLE IF NOT EXISTS atlas_acessos (
    id BIGSERIAL PRIMARY KEY,
    tipo TEXT NOT NULL,
    -- What people call it.
    nome TEXT NOT NULL,
    segredo TEXT UNIQUE NOT NULL,
    -- 'total' or 'leitura'.
    escopo TEXT NOT NULL,
    expira_em BIGINT,
    visto_em BIGINT,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
-- What programs asked for under a key of theirs (`Idempotency-Key`), and what they were answered.
CREATE TABLE IF NOT EXISTS atlas_pedidos (
    acesso_id BIGINT NOT NULL REFERENCES atlas_acessos(id) ON DELETE CASCADE,
    chave TEXT NOT NULL,
    -- The SHA-256 of what was asked.
    pedido TEXT NOT NULL,
    -- None while it is worked on.
    situacao INTEGER,
    resposta TEXT,
    feito_em BIGINT NOT NULL,
    PRIMARY KEY (acesso_id, chave)
);
-- For whoever watches what becomes of scraps.
CREATE INDEX IF NOT EXISTS scraps_terminados ON scraps (terminado_em);

-- What a scrap is run with instead of what its host is set to: records a transaction, and attempts at a page.
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS lote INTEGER;
ALTER TABLE scraps ADD COLUMN IF NOT EXISTS tentativas_max INTEGER;

-- What a client has set of an API, a JSON object: of it, each route's scraps get what its connector's schema names.
CREATE TABLE IF NOT EXISTS clientes_configuracoes (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    configuracao TEXT NOT NULL,
    atualizado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (cliente_id, api)
);

-- Versions of connectors that ended a host's process, and did so again alone in a process of their own: no host runs them, until the
-- operator accepts one. By which signal (`sinal`).
CREATE TABLE IF NOT EXISTS atlas_quarentena (
    sha256 TEXT PRIMARY KEY,
    rota TEXT NOT NULL,
    versao TEXT NOT NULL,
    sinal TEXT NOT NULL,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

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

-- What a client's default token and address serve: the APIs (`tipo` is 'api') that the operator bound them to, and no others.
-- From before there was such a word, the routes of the client's scraps and schedules ('rota'): the first process that has the
-- connectors puts their APIs in their place, or, where a route's connector is missing, leaves them to be asked for ('pedida').
CREATE TABLE IF NOT EXISTS clientes_padrao (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    tipo TEXT NOT NULL,
    nome TEXT NOT NULL,
    criado_em TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (cliente_id, tipo, nome)
);
INSERT INTO clientes_padrao (cliente_id, tipo, nome)
    SELECT r.cliente_id, 'rota', r.rota
    FROM (SELECT cliente_id, rota FROM scraps UNION SELECT cliente_id, rota FROM atlas_agendas) r
    WHERE EXISTS (SELECT 1 FROM clientes_apis a WHERE a.cliente_id = r.cliente_id AND a.api = '')
      AND NOT EXISTS (SELECT 1 FROM clientes_padrao)
    ON CONFLICT (cliente_id, tipo, nome) DO NOTHING;

-- The cursors of pages that are done are needed by nothing, and signed URLs, sessions and pieces of records may stand in them: a
-- page is known by its cursor's hash. From now on they are erased when a scrap's run ends; here, those of all runs before.
UPDATE scrap_cursores SET cursor = NULL WHERE estado <> 'pendente' AND cursor IS NOT NULL;
UPDATE dados_rejeitados SET cursor = NULL WHERE cursor IS NOT NULL AND NOT EXISTS (SELECT 1 FROM scrap_cursores c
    WHERE c.scrap_id = dados_rejeitados.scrap_id AND c.cursor_hash = dados_rejeitados.cursor_hash AND c.estado = 'pendente');

-- What the program's role needs, if it does not own the tables. Put its name in place of `atlas`, and its schema in place of
-- `public`, take the comment marks away, and run these as OWNER.
--
-- GRANT USAGE ON SCHEMA public TO atlas;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON clientes_tokens, clientes_apis, clientes_credenciais, atlas_hosts TO atlas;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON atlas_orcamentos, atlas_vagas, atlas_agendas, atlas_conectores, atlas_acessos, atlas_pedidos, clientes_configuracoes, atlas_quarentena, atlas_uso, scrap_linhas, scrap_ritmo, clientes_padrao TO atlas;
-- GRANT SELECT, INSERT ON dados_raw TO atlas;
-- GRANT SELECT, INSERT, UPDATE ON scraps, scrap_cursores, dados_rejeitados TO atlas;
-- GRANT USAGE ON SEQUENCE clientes_tokens_id_seq, dados_raw_id_seq, scraps_id_seq, scrap_cursores_ordem_seq,
--     dados_rejeitados_id_seq, atlas_agendas_id_seq, atlas_conectores_id_seq, atlas_acessos_id_seq TO atlas;

-- Only for a dados_raw that was there before and has no unique index on hash_conteudo (`atlas db status` says so). It fails
-- while a hash stands there twice.
--
-- CREATE UNIQUE INDEX atlas_dados_raw_hash ON dados_raw (hash_conteudo);
