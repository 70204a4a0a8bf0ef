//! It looks for what is not there in a large answer, for ever: the host does all the work.

hostile::fetch!(|scrap, _| {
    let answer = hostile::thousand(scrap, "pedido")?;
    loop {
        let _ = answer.json("/none")?;
    }
});
