-- Versions of connectors that ended a host's process, and did so again alone in a process of their own: no host runs them, until the
-- operator accepts one. By which signal (`sinal`).
CREATE TABLE IF NOT EXISTS atlas_quarentena (
    sha256 TEXT PRIMARY KEY,
    rota TEXT NOT NULL,
    versao TEXT NOT NULL,
    sinal TEXT NOT NULL,
    criado_em TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
