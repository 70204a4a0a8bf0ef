//! The lock under which access tokens are renewed: a lease that stands in the credential's row, on either database.
//!
//! Not the row's own lock, and not the file's, which would keep a connection over the request to a token URL, as long as somebody
//! else's server likes to take. Whoever else wants to renew, in whichever process on whichever host, waits until it is given
//! back and then finds the new token.

/// The lock, for the pool of one of the databases, which differ in how they tell the time: `later` is `$4` seconds from now.
macro_rules! credential_lock {
    (on $pool:ty, now: $now:literal, later: $later:literal) => {
        /// Takes the lock if nobody has it, or whoever has it was not heard of in time, by the database's clock.
        const LOCK: &str = concat!(
            "UPDATE clientes_credenciais SET renovando = $3, renovando_ate = ",
            $later,
            " \
                     WHERE cliente_id = $1 AND api = $2 AND (renovando IS NULL OR renovando_ate < ",
            $now,
            ") RETURNING partes, acesso"
        );

        /// Whether somebody has one.
        const LOCKED: &str = concat!(
            "SELECT EXISTS (SELECT 1 FROM clientes_credenciais WHERE renovando IS NOT NULL AND renovando_ate >= ",
            $now,
            ")"
        );

        struct Lock {
            pool: $pool,
            sealer: Sealer,
            cliente_id: i32,
            api: String,
            /// Whose it is, by the table: no two have the same name.
            holder: String,
            held: HeldCredential,
            in_anothers_place: bool,
        }

        pub(super) async fn lock(
            pool: &$pool,
            sealer: &Sealer,
            cliente_id: i32,
            api: &str,
        ) -> Result<Box<dyn CredentialLock>, StoreError> {
            let holder = format!("{:032x}", rand::random::<u128>());
            let given_up = Instant::now() + CREDENTIAL_PATIENCE;
            let lease = i32::try_from(CREDENTIAL_LEASE.as_secs()).unwrap_or(i32::MAX);
            loop {
                let held: Option<bool> = sqlx::query_scalar(rows::CREDENTIAL_HELD)
                    .bind(cliente_id)
                    .bind(api)
                    .fetch_optional(pool)
                    .await
                    .map_err(StoreError::sort(LOCKING))?;
                let Some(in_anothers_place) = held else {
                    return Err(StoreError::new(Fault::Missing, LOCKING, "it was removed"));
                };
                let lock = sqlx::query_as(LOCK)
                    .bind(cliente_id)
                    .bind(api)
                    .bind(&holder)
                    .bind(lease)
                    .fetch_optional(pool)
                    .await;
                let locked: Option<rows::CredentialRow> = lock.map_err(StoreError::sort(LOCKING))?;
                if let Some(row) = locked {
                    let opened = row.open(sealer, cliente_id, api);
                    if opened.is_err() {
                        let_go(pool, cliente_id, api, &holder).await;
                    }
                    let (pool, sealer, api) = (pool.clone(), sealer.clone(), api.to_owned());
                    return Ok(Box::new(Lock {
                        pool,
                        sealer,
                        cliente_id,
                        api,
                        holder,
                        held: opened?,
                        in_anothers_place,
                    }));
                }
                if Instant::now() >= given_up {
                    return Err(StoreError::new(Fault::Unavailable, LOCKING, RENEWED_ALWAYS));
                }
                tokio::time::sleep(CREDENTIAL_POLL).await;
            }
        }

        async fn let_go(pool: &$pool, cliente_id: i32, api: &str, holder: &str) {
            let release = sqlx::query(rows::RELEASE_CREDENTIAL).bind(cliente_id).bind(api).bind(holder).execute(pool);
            // Where this fails, the lock's own time ends it.
            let _ = tokio::time::timeout(CREDENTIAL_LET_GO_MAX, release).await;
        }

        #[async_trait]
        impl CredentialLock for Lock {
            fn parts(&self) -> &Parts {
                &self.held.parts
            }

            fn access(&self) -> Option<&AccessToken> {
                self.held.access.as_ref()
            }

            fn is_in_anothers_place(&self) -> bool {
                self.in_anothers_place
            }

            async fn keep(&self, parts: &Parts, access: &AccessToken) -> Result<(), StoreError> {
                let place = |column| Place { cliente_id: self.cliente_id, api: &self.api, column };
                let sealed = self.sealer.seal(place(Column::Partes), &parts.to_json())?;
                let sealed_access = self.sealer.seal(place(Column::Acesso), &access.to_json())?;
                let kept = sqlx::query(rows::KEEP_CREDENTIAL)
                    .bind(self.cliente_id)
                    .bind(&self.api)
                    .bind(&self.holder)
                    .bind(sealed)
                    .bind(sealed_access)
                    .execute(&self.pool)
                    .await
                    .map_err(StoreError::sort(KEEPING))?;
                match kept.rows_affected() {
                    0 => Err(StoreError::new(Fault::Collision, KEEPING, "it is not this process's to renew any more")),
                    _ => Ok(()),
                }
            }

            async fn release(self: Box<Self>) {
                let_go(&self.pool, self.cliente_id, &self.api, &self.holder).await;
            }
        }
    };
}
pub(super) use credential_lock;
