//! The words that records are made of. All of them exist in ISO 8859-1, so that a body in that
//! charset loses nothing, and most carry accents, so that one read in the wrong charset shows it.

/// Given names, and their part of an e-mail address.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("João", "joao"),
    ("Conceição", "conceicao"),
    ("Antônio", "antonio"),
    ("Márcia", "marcia"),
    ("José", "jose"),
    ("Luíza", "luiza"),
    ("Sebastião", "sebastiao"),
    ("Inês", "ines"),
    ("Ângela", "angela"),
    ("Fabrício", "fabricio"),
    ("Paula", "paula"),
    ("Zoé", "zoe"),
];

pub(crate) const SURNAMES: &[&str] = &[
    "da Conceição",
    "Gonçalves",
    "Araújo",
    "Simões",
    "D'Ávila",
    "Brandão",
    "Magalhães",
    "de Sá",
    "Peçanha",
    "Silva",
    "Müller",
    "Nuñez",
];

pub(crate) const STREETS: &[&str] = &[
    "Rua São José",
    "Avenida Brigadeiro Luís Antônio",
    "Travessa do Açúcar",
    "Praça da República",
    "Alameda dos Ipês",
    "Rodovia Régis Bittencourt",
];

/// City, state, start of its postal codes.
pub(crate) const CITIES: &[(&str, &str, &str)] = &[
    ("São Paulo", "SP", "01"),
    ("Ribeirão Preto", "SP", "14"),
    ("Belém", "PA", "66"),
    ("Goiânia", "GO", "74"),
    ("Florianópolis", "SC", "88"),
    ("Maceió", "AL", "57"),
    ("Brasília", "DF", "70"),
];

pub(crate) const GOODS: &[&str] = &[
    "Café torrado 500 g",
    "Açúcar mascavo 1 kg",
    "Feijão-preto 1 kg",
    "Pão de queijo congelado",
    "Chá-mate 250 g",
    "Óleo de girassol 900 ml",
    "Maçã (unidade)",
    "Sabão em pó 2 kg",
    "Caderno 10×1, 200 folhas",
    "Parafuso 1/4\\\" com 100 unidades",
];

pub(crate) const STATUSES: &[&str] = &["aberto", "pago", "em separação", "enviado", "entregue", "devolução"];

pub(crate) const PAYMENTS: &[&str] = &["pix", "boleto", "cartão de crédito", "dinheiro", "crediário"];

pub(crate) const CATEGORIES: &[&str] = &["alimentação", "higiene", "papelaria", "construção", "serviços"];

/// Remarks as JSON strings, quotes included: escapes that a parser may write differently, but may
/// not change.
pub(crate) const REMARKS: &[&str] = &[
    "null",
    "null",
    "\"\"",
    r#""Entregar \"na portaria\"\nfalar com Jos\u00e9""#,
    r#""Presente \ud83c\udf81 \/ n\u00e3o incluir nota""#,
    "\"Não deixar com o vizinho; ligar às 18 h\"",
    r#""caminho C:\\pedidos\\novos\t(antigo)""#,
];
