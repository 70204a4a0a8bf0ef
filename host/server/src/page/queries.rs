//! The query names that each page takes. They are those of the API and of the command line.

/// Addresses as the router has them, and the names that each takes; an address that is not here
/// takes none.
const TAKEN: [(&str, &[&str]); 20] = [
    ("/scraps", &["cliente", "rota", "estado", "fatia_de", "cursor"]),
    ("/scraps/novo", &["cliente", "rota", "de", "ate", "fatia", "lote", "tentativas", "tamanho_pagina"]),
    ("/scraps/{id}", &["parte", "vinculado"]),
    ("/scraps/{id}/paginas", &["cursor"]),
    ("/scraps/{id}/rejeitados", &["cursor", "feito"]),
    ("/clientes", &["feito"]),
    ("/clientes/novo", &["cliente"]),
    ("/clientes/{id}", &["rota", "de", "ate", "feito"]),
    ("/clientes/{id}/api", &["api"]),
    ("/clientes/{id}/api/remover", &["api"]),
    ("/clientes/{id}/ativo", &["nao"]),
    ("/conectores/{route}", &["cliente", "de", "ate", "feito"]),
    ("/conectores/{route}/voltar", &["sha256"]),
    ("/dados", &["cliente", "rota"]),
    ("/dados/registros", &["cliente", "rota", "de", "ate", "caminho", "valor", "cursor"]),
    ("/dados/exportar", &["cliente", "rota", "de", "ate", "caminho", "valor", "formato"]),
    ("/agenda", &["feito"]),
    ("/agenda/novo", &["cliente", "rota", "cron", "fuso", "janela", "tamanho_pagina", "sobrepor"]),
    ("/agenda/{id}/ativa", &["nao"]),
    ("/acessos", &["nome", "feito"]),
];

/// The names that an address takes.
pub(super) fn taken(route: &str) -> &'static [&'static str] {
    TAKEN.iter().find(|(known, _)| *known == route).map_or(&[], |(_, names)| names)
}
