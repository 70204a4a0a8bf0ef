-- Who renews the access token, and until when nobody else may try. See PostgreSQL's.
ALTER TABLE clientes_credenciais ADD COLUMN renovando TEXT;
ALTER TABLE clientes_credenciais ADD COLUMN renovando_ate TIMESTAMP;
