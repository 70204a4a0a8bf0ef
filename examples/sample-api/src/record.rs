//! Records, written as text by hand: the host promises to keep the exact text, and a serialiser
//! that passes numbers through a double could not even say what that text was.

use std::fmt::{self, Write as _};

use chrono::NaiveDate;

use crate::{
    Rota, Settings,
    dice::Dice,
    words::{CATEGORIES, CITIES, GOODS, NAMES, PAYMENTS, REMARKS, STATUSES, STREETS, SURNAMES},
};

/// The id of the record with number 0: the first integer that a double cannot hold.
const FIRST_ID: u64 = 9_007_199_254_740_993;

/// Appends the record with this number, of this day, to `out`.
pub(crate) fn render(out: &mut String, settings: &Settings, cliente: u32, rota: Rota, number: u64, day: NaiveDate) {
    let start = out.len();
    let whose = if settings.identical_clients { 0 } else { u64::from(cliente) + 1 };
    let mut dice = Dice::new(&[settings.seed, whose, rota as u64, number]);
    let id = FIRST_ID + number;
    // Writing to a String cannot fail, so the results below are let go.
    let _ = write!(out, "{{\"id\":{id},\"seq\":{number},");
    let _ = match rota {
        Rota::Pedido => order(out, &mut dice, number, day),
        Rota::Venda => sale(out, &mut dice, id, day),
        Rota::Financeiro => {
            let pair = Dice::new(&[settings.seed, whose, rota as u64, number / 2]).roll(10_000_000);
            entry(out, &mut dice, number, pair, day)
        }
        Rota::Cliente => customer_record(out, &mut dice, day),
        Rota::Produto => product(out, &mut dice, number),
        Rota::Evento => event(out, &mut dice, day),
    };
    pad(out, start, settings.record_bytes, &mut dice);
    out.push('}');
}

fn order(out: &mut String, dice: &mut Dice, number: u64, day: NaiveDate) -> fmt::Result {
    let (hour, minute, second) = (dice.roll(24), dice.roll(60), dice.roll(60));
    write!(
        out,
        "\"numero\":\"PED-{number:09}\",\"data\":\"{day}\",\
         \"criado_em\":\"{day}T{hour:02}:{minute:02}:{second:02}-03:00\",\"status\":\"{}\",\"cliente\":{{",
        dice.pick(STATUSES)
    )?;
    person(out, dice)?;
    out.push_str("},\"itens\":[");
    let mut sum = 0;
    for item in 0..=dice.roll(5) {
        let (amount, price) = (1 + dice.roll(9), 100 + dice.roll(40_000));
        sum += amount * price;
        write!(
            out,
            "{}{{\"sku\":\"SKU-{:05}\",\"descricao\":\"{}\",\"quantidade\":{amount},\
             \"preco_unitario\":{},\"total\":{},\"brinde\":{}}}",
            if item == 0 { "" } else { "," },
            dice.roll(100_000),
            dice.pick(GOODS),
            Money(price),
            Money(amount * price),
            dice.one_in(9),
        )?;
    }
    let (freight, rebate) = (dice.roll(5_000), dice.roll(100));
    write!(
        out,
        "],\"frete\":{},\"desconto\":{},\"total\":{},\"pago\":{},\"cancelado\":{},",
        Money(freight),
        Money(rebate),
        Money(sum + freight - rebate),
        dice.one_in(2),
        dice.one_in(20),
    )?;
    if dice.one_in(7) {
        let tail = dice.roll(100_000);
        write!(out, "\"taxa_cambio\":0.12345678901234567890{tail:05},")?;
    } else {
        out.push_str("\"taxa_cambio\":null,");
    }
    write!(out, "\"observacao\":{}", dice.pick(REMARKS))
}

fn sale(out: &mut String, dice: &mut Dice, id: u64, day: NaiveDate) -> fmt::Result {
    let total = 100 + dice.roll(500_000);
    write!(
        out,
        "\"pedido_id\":{id},\"data\":\"{day}\",\"vendedor\":\"{} {}\",\"forma_pagamento\":\"{}\",\
         \"parcelas\":{},\"total\":{},\"comissao\":{},\"concluida\":{},\"observacao\":{}",
        dice.pick(NAMES).0,
        dice.pick(SURNAMES),
        dice.pick(PAYMENTS),
        1 + dice.roll(12),
        Money(total),
        Money(total * 3 / 100),
        !dice.one_in(6),
        dice.pick(REMARKS),
    )
}

/// One of the two entries of a transaction, which add up to nothing.
fn entry(out: &mut String, dice: &mut Dice, number: u64, amount: u64, day: NaiveDate) -> fmt::Result {
    let (paid, pays) = (dice.one_in(2), number % 2 == 1);
    write!(
        out,
        "\"transacao\":{},\"tipo\":\"{}\",\"data\":\"{day}\",\"categoria\":\"{}\",\"historico\":\"{} {}\",\"valor\":{}{},\
         \"juros\":0.0{:02},\"pago\":{paid},\"pago_em\":",
        number / 2,
        if pays { "pagar" } else { "receber" },
        dice.pick(CATEGORIES),
        dice.pick(NAMES).0,
        dice.pick(SURNAMES),
        if pays && amount > 0 { "-" } else { "" },
        Money(amount),
        dice.roll(100),
    )?;
    if paid { write!(out, "\"{day}\"") } else { out.write_str("null") }
}

fn customer_record(out: &mut String, dice: &mut Dice, day: NaiveDate) -> fmt::Result {
    person(out, dice)?;
    write!(
        out,
        ",\"ativo\":{},\"limite_credito\":{},\"cadastrado_em\":\"{day}\"",
        !dice.one_in(10),
        Money(dice.roll(1_000_000)),
    )
}

fn product(out: &mut String, dice: &mut Dice, number: u64) -> fmt::Result {
    let price = 100 + dice.roll(50_000);
    write!(
        out,
        "\"sku\":\"SKU-{number:05}\",\"descricao\":\"{}\",\"categoria\":\"{}\",\"preco\":{},\"custo\":{},\
         \"estoque\":{},\"peso_kg\":{}.{:03},\"ativo\":{}",
        dice.pick(GOODS),
        dice.pick(CATEGORIES),
        Money(price),
        Money(price * 6 / 10),
        dice.roll(5_000),
        dice.roll(30),
        dice.roll(1_000),
        !dice.one_in(8),
    )
}

/// What happened to an order.
fn event(out: &mut String, dice: &mut Dice, day: NaiveDate) -> fmt::Result {
    let (hour, minute, second) = (dice.roll(24), dice.roll(60), dice.roll(60));
    write!(
        out,
        "\"pedido_id\":{},\"status\":\"{}\",\"criado_em\":\"{day}T{hour:02}:{minute:02}:{second:02}-03:00\",\
         \"observacao\":{}",
        FIRST_ID + dice.roll(1_000_000),
        dice.pick(STATUSES),
        dice.pick(REMARKS),
    )
}

/// A person's members, without the braces.
fn person(out: &mut String, dice: &mut Dice) -> fmt::Result {
    let (name, mail) = dice.pick(NAMES);
    let (city, state, post) = dice.pick(CITIES);
    let number = dice.roll(10_000);
    write!(
        out,
        "\"nome\":\"{name} {}\",\"documento\":\"{:03}.{:03}.{:03}-{:02}\",\"email\":\"{mail}{number}@exemplo.com.br\",\
         \"telefone\":{},\"endereco\":{{\"logradouro\":\"{}\",\"numero\":\"{number}\",\"complemento\":{},\
         \"cidade\":\"{city}\",\"uf\":\"{state}\",\"cep\":\"{post}{:03}-{:03}\"}}",
        dice.pick(SURNAMES),
        dice.roll(1000),
        dice.roll(1000),
        dice.roll(1000),
        dice.roll(100),
        if dice.one_in(3) { "null" } else { "\"+55 11 90000-0000\"" },
        dice.pick(STREETS),
        if dice.one_in(2) { "null" } else { "\"fundos, 2º andar\"" },
        dice.roll(1000),
        dice.roll(1000),
    )
}

/// Fills up with hexadecimal digits: text that neither the network nor the database can compress
/// away.
fn pad(out: &mut String, start: usize, size: Option<usize>, dice: &mut Dice) {
    const BEFORE: &str = ",\"preenchimento\":\"";
    let Some(fill) = size.and_then(|size| {
        // The closing quote and the closing brace come after.
        size.checked_sub(out.len() - start + BEFORE.len() + 2)
    }) else {
        return;
    };
    out.push_str(BEFORE);
    let end = out.len() + fill;
    while out.len() < end {
        let _ = write!(out, "{:016x}", dice.next());
    }
    out.truncate(end);
    out.push('"');
}

/// Hundredths, always with both decimals.
struct Money(u64);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}
