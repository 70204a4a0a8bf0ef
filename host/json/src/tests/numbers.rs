use super::*;

fn zeros(count: usize) -> String {
    "0".repeat(count)
}

/// Each of these was given to PostgreSQL 15.18 as `text::jsonb`: those that it took, and those that
/// it refused with "value overflows numeric format".
#[test]
fn numbers_are_refused_exactly_where_postgresql_refuses_them() {
    let taken = [
        "1e131071",
        "9e131071",
        "9.99e131071",
        "-1e131071",
        "1E+131071",
        "12345e131067",
        "0.5e131072",
        "0.05e131073",
        "1e131070",
        "1e131069",
        "1e131068",
        "1e-16383",
        "1.0e-16382",
        "0.1e-16382",
        "100000e-16383",
        "0e-16383",
        "0.0e-16382",
        "0e131072",
        "0e999999",
        "0.00e131080",
        "0e1073741822",
        "0.0e1073741822",
        "-0",
        "-0.0",
        "0e0000000000000000000000000001",
        "1e0000000000000000000000000001",
        "1e+000000000000000000000000000000131071",
        "1e-000000000000000000000000000016383",
        &format!("1{}", zeros(131_071)),
        &"9".repeat(131_072),
        &format!("1{}e-1", zeros(131_072)),
        &format!("1{}e-10000", zeros(140_000)),
        &format!("9{}e-16383", zeros(147_454)),
        &format!("0.{}1", zeros(16_382)),
        &format!("0.{}", zeros(16_383)),
        &format!("1.{}", "1".repeat(16_383)),
        &format!("0.{}1e20000", zeros(20_000)),
        &format!("0.{}1e3618", zeros(20_000)),
        &format!("0.{}1e331072", zeros(200_000)),
    ];
    let refused = [
        "1e131072",
        "-1e131072",
        "12345e131068",
        "0.5e131073",
        "0.05e131074",
        "1e-16384",
        "1.0e-16383",
        "0.1e-16383",
        "100000e-16384",
        "0e-16384",
        "0.0e-16383",
        "0e-99999",
        "0e1073741823",
        "0.0e1073741823",
        "0e1073741824",
        "0e2147483646",
        "0e2147483647",
        "0e2147483648",
        "0e4294967296",
        "0e9223372036854775807",
        "0e9223372036854775808",
        "0e99999999999999999999",
        "0e-1073741822",
        "0e-1073741823",
        "0e-2147483648",
        "1e1073741822",
        "1e2147483647",
        "1e-2147483647",
        &format!("1{}", zeros(131_072)),
        &format!("9{}e-16383", zeros(147_455)),
        &format!("1{}e-168929", zeros(300_000)),
        &format!("1{}e-16383", zeros(300_000)),
        &format!("0.{}1", zeros(16_383)),
        &format!("0.{}", zeros(16_384)),
        &format!("1.{}", "1".repeat(16_384)),
        &format!("0.{}1e3617", zeros(20_000)),
        &format!("0.{}1e331073", zeros(200_000)),
        &format!("0.{}e183617", "1".repeat(200_000)),
        &format!("0.{}e200000", "1".repeat(200_000)),
    ];
    for number in taken {
        let shown: String = number.chars().take(50).collect();
        assert_eq!(canonical(number).as_deref(), Ok(number), "{shown}");
    }
    for number in refused {
        let shown: String = number.chars().take(50).collect();
        assert_eq!(canonical(number), Err(Rejection::NumberOutOfRange { at: 0 }), "{shown}");
    }
}

#[test]
fn a_number_keeps_its_own_spelling() {
    for number in ["0", "-0", "1.0", "1e0", "1E+2", "12345678901234567890.10", "-0.000", "1e400"] {
        assert_eq!(canonical(number).as_deref(), Ok(number));
    }
}

#[test]
fn what_is_no_number_by_the_grammar_is_not_json() {
    for text in [
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-01",
        "0x1",
        "1_000",
        "NaN",
        "Infinity",
        "-Infinity",
        "1.e1",
        "--1",
        "00",
    ] {
        assert_eq!(code(text), "not_json", "{text}");
    }
}
