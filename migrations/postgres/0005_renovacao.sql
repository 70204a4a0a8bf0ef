-- Who renews the access token, and until when nobody else may try: a renewal asks a server elsewhere, which takes as long as it
-- takes, and no transaction stays open for that.
ALTER TABLE clientes_credenciais ADD COLUMN IF NOT EXISTS renovando TEXT;
ALTER TABLE clientes_credenciais ADD COLUMN IF NOT EXISTS renovando_ate TIMESTAMPTZ;
