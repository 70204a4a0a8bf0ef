//! It selects a thousand records over and over, and lets go of none: each costs the host more than
//! the answer did.

hostile::fetch!(|scrap, _| {
    let answer = hostile::thousand(scrap, "venda")?;
    loop {
        std::mem::forget(answer.select("/data")?);
    }
});
