-- The same tables as PostgreSQL's, with SQLite's types: JSON and times are text (times UTC), bytes are blobs.

CREATE TABLE IF NOT EXISTS clientes_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cliente_id INTEGER UNIQUE NOT NULL,
    token TEXT NOT NULL,
    ativo BOOLEAN DEFAULT TRUE,
    criado_em TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    atualizado_em TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE IF NOT EXISTS dados_raw (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id),
    data_coleta TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    origem TEXT NOT NULL,
    payload TEXT NOT NULL,
    hash_conteudo TEXT UNIQUE
);

CREATE TABLE IF NOT EXISTS clientes_apis (
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id) ON DELETE CASCADE,
    api TEXT NOT NULL,
    base_url TEXT NOT NULL,
    credencial TEXT,
    criado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    atualizado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (cliente_id, api)
);

CREATE TABLE IF NOT EXISTS scraps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cliente_id INTEGER NOT NULL REFERENCES clientes_tokens(cliente_id),
    rota TEXT NOT NULL,
    periodo_inicio TEXT,
    periodo_fim TEXT,
    tamanho_pagina INTEGER NOT NULL,
    configuracao TEXT NOT NULL DEFAULT '{}',
    estado TEXT NOT NULL DEFAULT 'pendente',
    motivo TEXT,
    epoca INTEGER NOT NULL DEFAULT 0,
    varredura INTEGER NOT NULL DEFAULT 0,
    fronteira INTEGER NOT NULL DEFAULT 0,
    paginas INTEGER NOT NULL DEFAULT 0,
    lidos INTEGER NOT NULL DEFAULT 0,
    inseridos INTEGER NOT NULL DEFAULT 0,
    duplicados INTEGER NOT NULL DEFAULT 0,
    reencontrados INTEGER NOT NULL DEFAULT 0,
    rejeitados INTEGER NOT NULL DEFAULT 0,
    total_declarado INTEGER,
    formato_cursor INTEGER,
    conector_versao TEXT,
    conector_sha256 TEXT,
    duracao_ms INTEGER NOT NULL DEFAULT 0,
    criado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    iniciado_em TIMESTAMP,
    terminado_em TIMESTAMP
);
CREATE INDEX IF NOT EXISTS scraps_cliente ON scraps (cliente_id, id);

-- `ordem` is the key that SQLite keeps in any case: it grows with each row.
CREATE TABLE IF NOT EXISTS scrap_cursores (
    ordem INTEGER PRIMARY KEY AUTOINCREMENT,
    scrap_id INTEGER NOT NULL REFERENCES scraps(id) ON DELETE CASCADE,
    varredura INTEGER NOT NULL,
    cursor_hash BLOB NOT NULL,
    cursor TEXT,
    pai_hash BLOB,
    profundidade INTEGER NOT NULL DEFAULT 0,
    estado TEXT NOT NULL DEFAULT 'pendente',
    iniciado BOOLEAN NOT NULL DEFAULT FALSE,
    tentativas INTEGER NOT NULL DEFAULT 0,
    lidos INTEGER NOT NULL DEFAULT 0,
    inseridos INTEGER NOT NULL DEFAULT 0,
    duplicados INTEGER NOT NULL DEFAULT 0,
    reencontrados INTEGER NOT NULL DEFAULT 0,
    rejeitados INTEGER NOT NULL DEFAULT 0,
    total_declarado INTEGER,
    membros BLOB,
    conteudo BLOB,
    ramos BLOB,
    repeticoes INTEGER NOT NULL DEFAULT 1,
    conector_sha256 TEXT,
    gravado_em TIMESTAMP,
    UNIQUE (scrap_id, varredura, cursor_hash)
);
CREATE INDEX IF NOT EXISTS scrap_cursores_pendentes ON scrap_cursores (scrap_id, varredura, ordem)
    WHERE estado = 'pendente';

CREATE TABLE IF NOT EXISTS dados_rejeitados (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scrap_id INTEGER NOT NULL REFERENCES scraps(id) ON DELETE CASCADE,
    cliente_id INTEGER NOT NULL,
    origem TEXT NOT NULL,
    cursor_hash BLOB NOT NULL,
    cursor TEXT,
    posicao INTEGER NOT NULL,
    conteudo_hash BLOB NOT NULL,
    codigo TEXT NOT NULL,
    motivo TEXT NOT NULL,
    conteudo BLOB NOT NULL,
    criado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (scrap_id, cursor_hash, posicao, conteudo_hash)
);
