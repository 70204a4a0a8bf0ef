-- Whether a client's API may be at an address that is not public (private, loopback): granted by whoever set the base URL.
-- Rows from before were all set on the command line, whose word is a grant.
ALTER TABLE clientes_apis ADD COLUMN IF NOT EXISTS rede_privada BOOLEAN NOT NULL DEFAULT TRUE;
