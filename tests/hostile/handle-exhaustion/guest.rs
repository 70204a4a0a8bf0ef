//! It selects the same records over and over, and lets go of none.

hostile::fetch!(|scrap, _| {
    let answer = hostile::customers(scrap)?;
    loop {
        std::mem::forget(answer.select("/data")?);
    }
});
