# O que os operadores leem, em português do Brasil. As mesmas mensagens estão em en.ftl; um teste compara as duas.

## Linha de erro e operações

error-line = ⚠️ ERRO ({ $operation }): { $message }
asked-for-line = ⏸️ { $message } ({ $operation })
reservation-line = ⚠️ RESSALVA ({ $operation }): { $message }
op-usage = uso
op-configure = configurar
op-connect = conectar
op-init = criar_tabelas
op-client = cliente
op-scrap = scrap
op-run = executar_scrap
op-connector = conector
op-rejects = rejeitados
op-verify = verificar
op-output = gravar_resultado

## Uso

usage-unknown-argument = Não existe a opção { $argument }
    .fix = Veja as opções com: atlas --help, ou atlas COMANDO --help.
usage-unknown-argument-like = Não existe a opção { $argument } (seria { $suggestion }?)
    .fix = Veja as opções com: atlas --help, ou atlas COMANDO --help.
usage-unknown-command = Não existe o comando { $command }
    .fix = Veja os comandos com: atlas --help.
usage-unknown-command-like = Não existe o comando { $command } (seria { $suggestion }?)
    .fix = Veja os comandos com: atlas --help.
usage-missing = Falta informar: { $argument }
    .fix = Veja o que o comando precisa com: atlas COMANDO --help.
usage-conflict = { $argument } não pode ser usado com { $other }
    .fix = Informe só um deles.
usage-no-value = { $argument } precisa de um valor
    .fix = Veja o que o comando precisa com: atlas COMANDO --help.
usage-value = “{ $value }” não é um valor para { $argument }
    .fix = Veja o que a opção aceita com: atlas COMANDO --help.
usage-other = O comando não foi entendido: { $reason }
    .fix = Veja os comandos com: atlas --help.

## Configuração e banco

error-setting-value = { $name }={ $value } não é um valor aceito (esperado: { $expected })
    .fix = Corrija { $name } na linha de comando, no ambiente, no .env ou no atlas.toml.
error-half-a-database = Configuração do banco incompleta: falta { $missing }
    .fix = Defina DB_HOST, DB_NAME, DB_USER e DB_PASSWORD (DB_PORT é opcional), ou DATABASE_URL, ou nenhum deles para usar o banco embutido.
error-database-url = O endereço do banco não é válido
    .fix = Use postgres://USUARIO:SENHA@HOST:PORTA/BANCO ou sqlite:ARQUIVO.
error-text-unreadable = Não foi possível ler { $file ->
        [stdin] a entrada padrão
       *[other] { $file }
    }: { $reason }
    .fix = Confira se o arquivo existe e se este usuário pode lê-lo.
error-text-utf16 = { $file ->
        [stdin] A entrada padrão
       *[other] { $file }
    } está em UTF-16, e não em UTF-8
    .fix = Salve em UTF-8: no Bloco de Notas em Salvar como, Codificação; no PowerShell com Out-File -Encoding utf8.
error-text-not-utf8 = { $file ->
        [stdin] Entrada padrão
       *[other] { $file }
    }, linha { $line }: não é texto UTF-8
    .fix = Salve como texto UTF-8; outra codificação, ou um arquivo de outro tipo, não é lida.
error-env-line = { $file }, linha { $line }: não é NOME=valor
    .fix = Escreva uma configuração por linha, como DB_HOST=localhost; comentários começam com #.
error-env-quote = { $file }, linha { $line }: uma aspa é aberta e não é fechada
    .fix = Feche a aspa; um valor que contém uma aspa vai entre aspas do outro tipo.
error-env-variable = A variável de ambiente { $name } não é texto UTF-8
    .fix = Defina { $name } de novo, ou retire-a para usar o valor padrão.
error-elsewhere = Esta pasta não tem .env nem atlas.db, mas { $file } existe
    .fix = Rode o comando naquela pasta; ou diga qual é o banco com --db, por exemplo --db sqlite:atlas.db para um novo aqui.
error-no-database = Não há banco de dados em { $file }
    .fix = Rode o comando na pasta da instalação, ou indique o banco dela com --db. Um novo é criado por: atlas db init.
    .page = Na máquina do servidor, rode: atlas db init.
error-settings-file = Não foi possível ler { $file }: { $reason }
    .fix = Corrija o arquivo, ou retire-o para usar os valores padrão.
error-database-unreachable = Não foi possível conectar ao banco { $location }: { $reason }
    .fix = Confira se o servidor está no ar e se endereço, usuário, senha e nome do banco estão certos (atlas doctor).
    .page = Confira se o servidor do banco está no ar; o endereço dele está nas configurações da máquina do Atlas.
error-database-file = Não foi possível abrir o banco embutido { $location }: { $reason }
    .fix = Confira se a pasta existe e aceita gravação, e se o arquivo é um banco SQLite.
error-database-unavailable = O banco parou de responder: { $reason }
    .fix = Quando o banco voltar, repita o comando (atlas doctor).
    .page = Quando o banco voltar, recarregue a página; os scraps continuam sozinhos.
error-database-displaced = O arquivo do banco foi apagado ou trocado enquanto o Atlas o usava ({ $reason })
    .fix = Pare todo Atlas que o usa, ponha o arquivo certo de volta (de um backup, com o -wal se houver) e retome os scraps: atlas scrap resume ID
    .page = Pare o Atlas na máquina do servidor, ponha o arquivo certo de volta (de um backup, com o -wal se houver), inicie-o e retome os scraps.
error-database-slow = O banco levou mais de { $seconds } s em uma só consulta, que foi encerrada
    .fix = Peça menos (um cliente, uma rota, menos dias), ou veja o que está ocupando o banco (atlas doctor).
    .page = Peça menos (um cliente, uma rota, menos dias), ou veja o que está ocupando o banco.
error-database-schema = As tabelas não estão como deveriam: { $reason }
    .fix = Execute: atlas db init. Sem permissão para criar tabelas, peça ao DBA que execute migrations/dba.sql.
    .page = Na máquina do servidor, execute: atlas db init. Sem permissão para criar tabelas, peça ao DBA que execute migrations/dba.sql.
error-database-right = O banco nega a este usuário algo de que o Atlas precisa: { $reason }
    .fix = Veja qual direito falta, e o GRANT que o dá, com: atlas doctor.
    .page = Veja em Saúde qual direito falta, e o GRANT que o dá.
error-database = Erro do banco: { $reason }
    .fix = Veja os detalhes em erros_scraps.log e execute: atlas doctor.
    .page = Veja em Saúde o que está errado; os detalhes ficam em erros_scraps.log, na máquina do servidor.
error-output = Não foi possível gravar o resultado na saída padrão: { $reason }
    .fix = Confira se há espaço em disco e repita o comando; o que foi gravado no arquivo está incompleto.
error-engine = O motor de conectores não iniciou: { $reason }
    .fix = Confira se há memória disponível e se o sistema não limita o espaço de endereços (ulimit -v).
error-no-files = Não resta descritor de arquivo: o que o Atlas precisa não pôde ser aberto
    .fix = Aumente o limite de arquivos abertos (ulimit -n; LimitNOFILE= em um serviço), ou deixe esta máquina executar menos scraps (--scraps).
error-http = O cliente HTTP não iniciou: { $reason }
    .fix = Confira os certificados raiz do sistema (pacote ca-certificates).

## Clientes

error-client-id = O número do cliente deve ser maior que zero ({ $client })
    .fix = Informe o número do cliente, por exemplo 2151.
error-client-unknown = Cliente { $client } não encontrado
    .fix = Veja os clientes com: atlas client list. Registre com: atlas client add { $client } --token - --base-url URL.
    .page = Confira o número em Clientes & Tokens, ou cadastre este cliente.
error-client-exists = O cliente { $client } já está registrado
    .fix = Para trocar o token ou o endereço: atlas client set { $client } --token - --base-url URL.
    .page = Para trocar o token ou o endereço, abra a página dele.
error-client-in-use = O cliente { $client } tem dados ou scraps e não pode ser removido
    .fix = Para que nada mais seja buscado: atlas client set { $client } --inactive.
    .page = Para que nada mais seja buscado, desative-o.
error-client-inactive = O cliente { $client } está inativo
    .fix = Para ativá-lo: atlas client set { $client } --active.
    .page = Para buscar de novo, ative-o na página dele.
error-no-token = Token não encontrado para o cliente { $client }
    .fix = Registre o cliente com: atlas client add { $client } --token - --base-url URL.
    .page = Cadastre-o em Clientes & Tokens com o token que a API dele deu.
error-no-credential = Token não encontrado para o cliente { $client } na API { $api }
    .fix = Registre com: atlas client set { $client } --token - ; se a API tem endereço próprio: atlas client set { $client } --api { $api } --token -.
    .page = Digite o token na página do cliente.
error-no-base-url = O cliente { $client } não tem endereço para a API { $api }
    .fix = Registre com: atlas client set { $client } --base-url URL.
    .page = Digite a URL base da API na página do cliente.
error-api-not-served = O cliente { $client } não tem endereço para a API { $api }
    .fix = Se o token e o endereço padrão são desta API: atlas client bind { $client } --api { $api }; senão registre com: atlas client add { $client } --api { $api } --token - --base-url URL.
    .page = Abra a página do cliente: deixe o padrão servir a API { $api }, ou cadastre um endereço para a API.
error-base-url = O endereço { $url } do cliente { $client } não é uma URL http ou https válida
    .fix = Use algo como https://erp.exemplo.com.br/sis/api/v1, sem usuário, senha nem parâmetros.
error-api-unknown = O cliente { $client } não tem a API { $api } registrada
    .fix = Veja as APIs dele com: atlas client list.
    .page = As APIs dele estão na página do cliente.
error-api-name = “{ $api }” não serve de nome de API
    .fix = Use letras, números, hífen e sublinhado.
error-api-needs-base-url = A API { $api } ainda não tem endereço
    .fix = Informe também --base-url URL.
    .page = Informe também a URL base.
error-token-empty = O token está vazio
    .fix = Passe o token por um pipe: printf %s TOKEN | atlas client add … --token -.
    .page = Cole o token que a API deu.
error-token-in-arguments = Um token não deve estar na linha de comando: listas de processos e o histórico do shell o mostram
    .fix = Passe-o por um pipe: printf %s TOKEN | atlas client add … --token -. O que estava ali pode ter sido visto: troque-o na API.
error-token-characters = O token do cliente { $client } tem caracteres que um cabeçalho HTTP não aceita
    .fix = Registre de novo, sem espaços nem quebras de linha: atlas client set { $client } --token -.
    .page = Digite-o de novo na página do cliente, sem espaços nem quebras de linha.
error-nothing-to-set = Nada a alterar
    .fix = Informe --token, --base-url, --allow-private, --active ou --inactive.
    .page = Digite o que deve mudar: o token, a URL base, ou os dois.
error-credential-parts = Falta na credencial do cliente { $client } na API { $api }: { $parts }
    .fix = Cadastre com: atlas client credential set { $client } --api { $api } --parts - (um objeto JSON, ou linhas NOME=valor, na entrada padrão).
    .page = Preencha o que falta na página do cliente, na API { $api }.
error-credential-input = Credenciais não são aceitas na linha de comando
    .fix = Informe --parts ARQUIVO, --parts - ou --token - (entrada padrão).
error-part-of-token-url = O conector da API { $api } quer a parte { $part } da credencial do cliente { $client } nas próprias requisições, e ela se destina só ao endereço de token
    .fix = Não execute este conector antes que quem o fez diga o porquê; um que precisa de tokens de acesso declara OAuth 2.
error-token-url = O endereço de token { $url } do cliente { $client } não é uma URL http ou https válida
    .fix = Corrija token_url e cadastre a credencial de novo com: atlas client credential set { $client } --api API --parts -.
    .page = Corrija a URL do token na página do cliente.
in-file = { $file ->
        [none] Credencial:{" "}
        [stdin] Entrada padrão:{" "}
       *[other] { $file }:{" "}
    }
error-parts-json = { in-file }não é um objeto JSON com valores de texto (linha { $line })
    .fix = Use algo como {"{"}"client_id": "…", "client_secret": "…"{"}"}, ou linhas NOME=valor.
error-parts-line = { in-file }a linha { $line } não é NOME=valor
    .fix = Escreva uma parte em cada linha, como client_id=VALOR, ou informe um objeto JSON.
error-parts-name = { in-file }o nome de uma parte não é válido
    .fix = Use letras minúsculas, algarismos, hífen e sublinhado, como client_secret.
error-parts-value = { in-file }a parte { $name } está vazia ou é longa demais
    .fix = Informe um valor de 1 a 16384 bytes.
error-parts-count = { in-file }não há nenhuma parte, ou há partes demais
    .fix = Informe de 1 a 16 partes, uma em cada linha, como token=VALOR.
error-key = { $name } não é uma chave de 32 bytes em Base64 ou hexadecimal
    .fix = Crie uma com: openssl rand -base64 32. Guarde-a fora do banco de dados.
error-key-missing = As credenciais estão cifradas, e ATLAS_KEY não está definida
    .fix = Defina ATLAS_KEY, ou ATLAS_KEY_FILE, com a chave que as cifrou.
error-key-wrong = A chave não abre o que está cifrado ({ $what })
    .fix = Defina ATLAS_KEY, ou ATLAS_KEY_FILE, com a chave que o cifrou; sem essa chave, cadastre a credencial de novo.
error-new-key-missing = Não há chave nova
    .fix = Defina ATLAS_NEW_KEY, ou ATLAS_NEW_KEY_FILE (openssl rand -base64 32 cria uma chave), e repita o comando.
client-added = ✅ Cliente { $client } registrado
default-bound = 🔗 O token e o endereço padrão do cliente { $client } ({ $url }) servem a API { $api } a partir de agora, e nenhuma outra
default-serves = ✅ O token e o endereço padrão do cliente { $client } servem a API { $api }
default-asked = Não se sabe de que API { $count ->
        [one] é a rota { $routes } do cliente { $client }: o conector dela não está aqui
       *[other] são as rotas { $routes } do cliente { $client }: os conectores delas não estão aqui
    }
    .fix = Se o token e o endereço padrão do cliente são dessa API: atlas client bind { $client } --api NOME.
    .page = Se o token e o endereço padrão do cliente são dessa API, deixe-os servi-la na página do cliente.
client-changed = ✅ Cliente { $client } alterado
client-removed = ✅ Cliente { $client } removido
credential-set = ✅ Credencial do cliente { $client } na API { $api } cadastrada: { $parts }
credential-removed = ✅ Credencial do cliente { $client } na API { $api } removida
client-rekeyed = 🔑 { $count ->
        [1] 1 valor cifrado
       *[other] { $count } valores cifrados
    } com a chave nova. A partir de agora é ela que vai em ATLAS_KEY.

## Scraps

error-scrap-unknown = O scrap { $id } não existe
    .fix = Veja os scraps com: atlas scrap list.
    .page = Procure-o na lista de scraps.
error-scrap-ended = O scrap { $id } já terminou (concluído)
    .fix = Não há o que cancelar. Veja com: atlas scrap show { $id }.
    .page = Não há o que cancelar.
error-scrap-ended-with-reservations = O scrap { $id } já terminou (concluído com ressalva)
    .fix = Não há o que cancelar. Veja com: atlas scrap show { $id }.
    .page = Não há o que cancelar.
error-scrap-not-to-pause = O scrap { $id } não está na fila nem em execução (estado: { $state })
    .fix = Não há o que pausar. Veja com: atlas scrap show { $id }.
    .page = Não há o que pausar.
error-scrap-not-to-queue = O scrap { $id } não pode voltar para a fila (estado: { $state })
    .fix = Um scrap em execução continua sozinho; um concluído não tem mais o que buscar. Veja com: atlas scrap show { $id }.
    .page = Um scrap em execução continua sozinho; um concluído não tem mais o que buscar. Para buscar o período de novo, crie um igual.
error-cursor-format = O scrap { $id } começou com outra versão do conector (formato de cursor { $began }; agora { $now })
    .fix = Volte a versão anterior do conector, ou crie um novo scrap para o mesmo período.
error-page-size = Tamanho de página { $value } fora do aceito (1 a { $max })
    .fix = Corrija --page-size.
    .page = Corrija Registros por página.
error-date = “{ $value }” não é uma data válida
    .fix = Use AAAA-MM-DD, por exemplo 2025-10-20.
error-period-turned = Período invertido: { $from } é depois de { $to }
    .fix = Troque as datas: --from é o primeiro dia, --to o último.
    .page = Troque as datas: De é o primeiro dia, Até o último.
error-period-missing = A rota { $route } precisa de um período
    .fix = Informe --from AAAA-MM-DD e --to AAAA-MM-DD.
    .page = Informe De e Até.
error-period-not-taken = A rota { $route } não usa período
    .fix = Retire --from, --to e --window.
    .page = Deixe De e Até vazios.
error-state-unknown = Não há estado “{ $state }”
    .fix = Use um destes: { $states }.
    .page = Use um destes: { $states }.
scrap-created = ✅ Scrap { $id } criado. Para executar: atlas scrap run { $id }
scrap-queued = ⏳ Scrap { $id } na fila: um worker o pega em seguida.
scrap-paused = ⏸️ Scrap { $id } pausado. Para continuar: atlas scrap resume { $id }.
scrap-pausing = ⏸️ Quem executa o scrap { $id } o pausa em cerca de um segundo; o que foi lido é gravado.
worker-starting = 👷 Worker pronto: até { $scraps ->
        [1] 1 scrap por vez
       *[other] { $scraps } scraps ao mesmo tempo
    }, da fila em { $location }. Ctrl-C devolve o que estiver em andamento.
worker-ended = 👷 Worker encerrado; o que ficou por fazer é de quem pegar.
scrap-cancelled = ✅ Scrap { $id } cancelado. Quem o executava para em cerca de um segundo.

## Execução

run-starting = 🚀 Iniciando ETL do cliente { $client } - Rota: { $route }
run-period = 📅 Período: { $from } até { $to }
run-settings = ⚙️ Configurações: Retry={ $retries }, Processamento={ $batch } por vez
run-database = 🗄️ Banco: { $location } - Scrap: { $id }
run-table = 📊 Tabela destino: dados_raw
run-table-exists = ✅ Tabela dados_raw já existe!
run-table-created = ✅ Tabela dados_raw criada!
run-resumed = ↩️ Retomando: { $pages ->
        [0] 0 páginas já gravadas
        [1] 1 página já gravada
       *[other] { $pages } páginas já gravadas
    }, { $read ->
        [1] 1 registro lido
       *[other] { $read } registros lidos
    }
run-page = 📄 Página { $number } | ⏱️ { $seconds } | 📊 { $records ->
        [1] 1 registro
       *[other] { $records } registros
    } | 🚀 { $rate } reg/s
run-queued = 📤 Item enviado para fila: { $hash }...
run-inserted = ✅ Registro inserido: { $rows }
run-progress = 📄 { $pages } de { $known ->
        [1] 1 página
       *[other] { $known } páginas
    } | 📊 { $records ->
        [1] 1 registro
       *[other] { $records } registros
    } | 🚀 { $rate } reg/s | ⏳ faltam { $left }
run-attempt = ⚠️ Tentativa { $attempt }/{ $of } falhou, aguardando { $wait }s...
run-not-ready = ⏳ Ainda não está pronto (consulta { $tried } de { $of }), nova consulta em { $wait }s...
run-attempt-reason = {"   "}motivo: { $reason }
run-rejected = ⚠️ Registro rejeitado: { $text } ({ $reason })
rejected-too_large = maior do que um registro pode ser
rejected-not_utf8 = não é texto UTF-8
rejected-not_json = não é JSON válido
rejected-too_deep = aninhado demais
rejected-nul_character = contém o caractere U+0000, que o PostgreSQL não armazena
rejected-lone_surrogate = contém metade de um caractere Unicode
rejected-number_out_of_range = contém um número além do que a tabela armazena
rejected-duplicate_key = tem a mesma chave duas vezes
rejected-database = recusado pelo banco
rejected-not_kept = descartado pelo banco sem nenhum erro
run-second-look = 🔎 Conferindo se a origem mudou durante a leitura...
run-sweep-again = 🔁 A origem mudou durante a leitura: varredura { $sweep }
run-throttled = ⏳ Aguardando o limite da API ({ $reason }): { $wait }s, até { $until }
run-store-waiting = ⚠️ O banco não respondeu ({ $reason }), aguardando { $wait }s...
run-draining = ⏸️ Interrompendo: gravando o que já foi lido. Ctrl-C de novo para sair imediatamente.
run-summary = 🏁 Scrap { $id } { $state } em { $seconds }s: { $pages ->
        [0] 0 páginas
        [1] 1 página
       *[other] { $pages } páginas
    } | lidos { $read } = { $inserted ->
        [1] 1 inserido
       *[other] { $inserted } inseridos
    } + { $duplicate ->
        [1] 1 duplicado
       *[other] { $duplicate } duplicados
    } + { $again ->
        [1] 1 reencontrado
       *[other] { $again } reencontrados
    } + { $rejected ->
        [1] 1 rejeitado
       *[other] { $rejected } rejeitados
    }
run-declared = 🧾 Total declarado pela origem: { $total }

state-pendente = pendente
state-executando = em execução
state-concluido = concluído
state-concluido_com_ressalva = concluído com ressalva
state-interrompido = interrompido
state-pausado = pausado
state-token_recusado = parado: token recusado
state-suspenso = suspenso: cota esgotada
state-cancelado = cancelado
state-falhou = falhou

end-stopped = Interrompido pelo operador
    .fix = O que foi lido está gravado. Para continuar: atlas scrap resume { $id }.
    .page = O que foi lido está gravado. Para continuar, use Retomar.
end-paused = Pausado pelo operador
    .fix = O que foi lido está gravado. Para continuar: atlas scrap resume { $id }.
    .page = O que foi lido está gravado. Para continuar, use Retomar.
end-cancelled = Cancelado pelo operador
    .fix = Para continuar mesmo assim: atlas scrap resume { $id }.
    .page = O que foi lido está gravado. Para continuar mesmo assim, use Retomar.
end-hosts-died = { $times } execuções seguidas falharam, ou terminaram seu processo sem aviso, e nenhuma página foi concluída
    .fix = Veja no log do sistema o que as terminou (memória?); depois: atlas scrap retry, com o id do scrap.
    .page = Veja no log da máquina o que as terminou (memória?); depois use Retomar.
end-attempts = Uma página falhou { $attempts ->
        [1] 1 vez
       *[other] { $attempts } vezes
    }: { $reason }
    .fix = Quando a origem voltar, retome com: atlas scrap resume { $id }. Nada do que foi gravado se perde.
    .page = Quando a origem voltar, use Retomar. Nada do que foi gravado se perde.
end-not-ready = O que se pediu à origem não ficou pronto { $tries ->
        [1] em 1 consulta
       *[other] em { $tries } consultas
    }: { $reason }
    .fix = Nada falhou. Quando estiver pronto, retome com: atlas scrap resume { $id }. Se a origem costuma demorar mais, consulte mais vezes: --retries, ou RETRY_MAX.
    .page = Nada falhou. Quando estiver pronto, use Retomar. Se a origem costuma demorar mais, peça para aumentar RETRY_MAX.
end-wait-too-long = A origem pediu para aguardar { $seconds }s: { $reason }
    .fix = Retome depois desse tempo com: atlas scrap resume { $id }.
    .page = Depois desse tempo, use Retomar.
end-unauthorized = A origem recusou o token do cliente { $client }: { $reason }
    .fix = Troque o token com: atlas client set { $client } --token - (com --api NOME se a API tem um token próprio: atlas client list), ou as partes com: atlas client credential set { $client } --api NOME ; depois retome com: atlas scrap resume { $id }.
    .page = Troque o token na página do cliente e teste-o ali; depois use Retomar.
end-quota = A cota da origem acabou: { $reason }
    .fix = Retome quando a cota voltar, com: atlas scrap resume { $id }.
    .page = Quando a cota voltar, use Retomar.
end-quota-until = A cota da origem acabou, até { $until }: { $reason }
    .fix = Retome depois disso com: atlas scrap resume { $id }.
    .page = Depois disso, use Retomar.
end-source = A origem não respondeu como deveria: { $reason }
    .fix = Entre colchetes está o que ela respondeu. Se isso diz o que falta, providencie; se é a resposta de outra API, corrija o endereço do cliente (atlas client list); se é como a API escreve, avise o autor do conector. Depois retome com: atlas scrap resume { $id }.
    .page = Entre colchetes está o que ela respondeu. Se isso diz o que falta, providencie; se é a resposta de outra API, corrija a URL base na página do cliente; se é como a API escreve, avise o autor do conector. Depois use Retomar.
end-not-granted = O conector pediu algo que não lhe foi concedido: { $reason }
    .fix = Se você confia nele para isso, escreva um [[grant]] no atlas.toml (veja atlas_example.toml); o que ele não declara, só quem o fez pode acrescentar. Depois continue com: atlas scrap resume { $id }.
    .page = Se você confia nele para isso, a máquina do servidor precisa de um [[grant]] no atlas.toml (veja atlas_example.toml); o que ele não declara, só quem o fez pode acrescentar. Depois use Retomar.
end-header = O conector define { $number ->
        [one] um cabeçalho que não foi concedido
       *[other] cabeçalhos que não foram concedidos
    } para a API { $api }: { $headers }
    .fix =
        Se a API pede isso, escreva estas linhas no atlas.toml e continue com: atlas scrap resume { $id }
        {"[[grant]]"}
        api = "{ $api }"
        headers = {"["}{ $headers }{"]"}
    .page =
        Se a API pede isso, o atlas.toml na máquina do servidor precisa destas linhas. Depois use Retomar.
        {"[[grant]]"}
        api = "{ $api }"
        headers = {"["}{ $headers }{"]"}
end-address = A API fica em { $place }, que não é um endereço público ({ $class ->
        [private] privado
        [loopback] a própria máquina
        [shared] compartilhado por um provedor
       *[reserved] reservado
    }), e isso não foi concedido
    .fix = Se ela fica mesmo lá: atlas client set { $client } --allow-private (com --api NOME para uma API entre várias), ou private = true em um [[grant]] do atlas.toml; depois continue com: atlas scrap resume { $id }.
    .page = Se ela fica mesmo lá, quem cuida do servidor o concede na máquina dele: atlas client set { $client } --allow-private. Pela página isso não se concede. Depois use Retomar.
end-address-never = Não há API em { $place } ({ $class ->
        [link-local] o enlace local
        [metadata] metadados da nuvem
        [multicast] um grupo
        [broadcast] toda a rede
       *[unspecified] indefinido
    }), e nada foi enviado para lá
    .fix = Nenhuma concessão cobre um endereço desses por nome. Confira o nome e quem responde por ele; depois continue com: atlas scrap resume { $id }.
    .page = Nenhuma concessão cobre um endereço desses por nome. Confira o nome e quem responde por ele; depois use Retomar.
end-loop = A origem anda em círculos: a página seguinte é uma que já foi lida (cursor { $cursor })
    .fix = Avise quem mantém a API ou o conector; depois retome com: atlas scrap resume { $id }.
    .page = Avise quem mantém a API ou o conector; depois use Retomar.
end-repeating = A origem repete a mesma página: { $pages } seguidas com os mesmos registros (cursor { $cursor })
    .fix = Avise quem mantém a API; depois retome com: atlas scrap resume { $id }.
    .page = Avise quem mantém a API; depois use Retomar.
end-empty-pages = { $pages } páginas seguidas não têm registro, e cada uma indica a próxima (limite empty_pages)
    .fix = Avise quem mantém a API ou o conector: um texto vazio pode estar onde não há próxima página. Se tais intervalos estão certos, aumente empty_pages em [limits] do atlas.toml; depois retome com: atlas scrap resume { $id }.
    .page = Avise quem mantém a API ou o conector. Se tais intervalos estão certos, peça para aumentar empty_pages em [limits] do atlas.toml; depois use Retomar.
end-ended-process = O conector da rota { $route } (versão { $version }, { $digest }) encerrou o processo que o executava ({ $signal }) e está segurado
    .fix = Troque o arquivo do conector por outra versão: o scrap continua sozinho. Detalhes: atlas connector list.
    .page = Troque o arquivo do conector por outra versão: o scrap continua sozinho.
end-beside-ended-process = O processo que o executava foi encerrado pelo conector da rota { $route } (versão { $version }, { $digest }, { $signal }); este scrap continua sozinho e nada se perdeu
    .fix = Não é preciso fazer nada; o conector que encerrou o processo está segurado. Detalhes: atlas connector list.
    .page = Não é preciso fazer nada; o conector que encerrou o processo está segurado.
end-untrusted = O certificado da origem não é confiável: { $reason }
    .fix = Esperar não resolve. Se uma autoridade própria o assina, indique o arquivo dela com SSL_CERT_FILE; se venceu ou é de outro nome, quem mantém o servidor precisa renová-lo. Depois retome com: atlas scrap resume { $id }.
    .page = Esperar não resolve. Se uma autoridade própria o assina, indique o arquivo dela com SSL_CERT_FILE na máquina do servidor; se venceu ou é de outro nome, quem mantém aquele servidor precisa renová-lo. Depois use Retomar.
end-mistake = O conector errou: { $reason }
    .fix = A origem não tem culpa. Avise o autor do conector; com a correção, retome com: atlas scrap resume { $id }.
    .page = A origem não tem culpa. Avise o autor do conector; com a correção na pasta, use Retomar.
end-crashed = O conector falhou: { $reason }
    .fix = Avise o autor do conector. Com a correção, retome com: atlas scrap resume { $id }.
    .page = Avise o autor do conector. Com a correção na pasta, use Retomar.
end-limit = O limite { $name } foi atingido ({ $value })
    .fix = Se for legítimo, aumente { $name } no atlas.toml: em [connector.ROTA.limits] ou [client.ID.limits], se ele estiver ali, pois vale primeiro; senão, em [limits]. Depois retome com: atlas scrap resume { $id }.
    .page = Se for legítimo, aumente { $name } no atlas.toml da máquina do servidor (em [limits], [connector.ROTA.limits] ou [client.ID.limits]). Depois use Retomar.
end-client-rejects = O cliente { $client } tem mais registros rejeitados do que se guarda para um cliente (limite { $name }: { $value })
    .fix = Veja o que foi rejeitado (atlas rejeitados listar). Depois de corrigir a causa, exporte e apague as linhas de dados_rejeitados, ou aumente { $name } no atlas.toml, em [client.{ $client }.limits]. Depois retome com: atlas scrap resume { $id }.
    .page = Veja em Rejeitados o que foi rejeitado. Depois de corrigir a causa, peça que as linhas sejam exportadas e apagadas na máquina do servidor, ou que { $name } seja aumentado no atlas.toml, em [client.{ $client }.limits]. Depois use Retomar.
end-client-cursors = O cliente { $client } tem mais cursores do que se guarda para um cliente (limite { $name }: { $value })
    .fix = Pergunte ao autor do conector por que são tantos. Se for legítimo, apague scraps antigos do cliente, ou aumente { $name } no atlas.toml, em [client.{ $client }.limits]. Depois retome com: atlas scrap resume { $id }.
    .page = Pergunte ao autor do conector por que são tantos. Se for legítimo, peça que { $name } seja aumentado no atlas.toml da máquina do servidor, em [client.{ $client }.limits]. Depois use Retomar.
end-client-records = O cliente { $client } tem mais em dados_raw do que o atlas.toml permite (limite { $name }: { $value })
    .fix = Mova ou apague linhas do cliente, ou aumente { $name } no atlas.toml, em [client.{ $client }.limits] ou em [limits]. Depois retome com: atlas scrap resume { $id }.
    .page = Peça que linhas do cliente sejam movidas ou apagadas, ou que { $name } seja aumentado no atlas.toml da máquina do servidor. Depois use Retomar.
end-database-unavailable = O banco parou de responder: { $reason }
    .fix = Quando o banco voltar, retome com: atlas scrap resume { $id }. Nada do que foi gravado se perde.
    .page = Quando o banco voltar, use Retomar. Nada do que foi gravado se perde.
end-lease-lost = O scrap foi cancelado ou assumido por outro processo
    .fix = Veja o estado com: atlas scrap list.
    .page = O estado acima diz como está.

reservation-rejected = { $records ->
        [0] nenhum registro foi rejeitado
        [1] 1 registro foi rejeitado
       *[other] { $records } registros foram rejeitados
    }
    .fix = Veja quais e por quê com: atlas rejects list --scrap { $id }.
    .page = Os registros rejeitados mostram quais e por quê, e podem ser reprocessados.
reservation-moving = A origem continuou mudando enquanto era lida{ $total ->
        [yes] {" "}(o total que ela declara: { $before }, depois { $after })
       *[other] {""}
    }{ $keys ->
        [yes] {" "}(a primeira página tem outros registros)
       *[other] {""}
    }{ $cursors ->
        [yes] {" "}(a primeira página leva a outras páginas)
       *[other] {""}
    }{ $acks ->
        [yes] {" "}(a primeira página tem outra confirmação)
       *[other] {""}
    }
    .fix = Execute o mesmo período de novo quando a origem estiver parada, ou com mais varreduras: --sweeps 3.
    .page = Crie um igual quando a origem estiver parada.
reservation-total = A origem declara { $declared ->
        [1] 1 registro
       *[other] { $declared } registros
    }, mas entregou { $read }
    .fix = Confira com quem mantém a API; tudo o que ela entregou está gravado.
reservation-same-pages = { $pages } páginas trouxeram exatamente os mesmos registros
    .fix = A origem talvez ignore o número da página: confira com quem mantém a API.

reservation-repeated = { $repeated ->
        [1] 1 dos { $read } registros desta leitura veio
       *[other] { $repeated } dos { $read } registros desta leitura vieram
    } mais de uma vez, e a origem declara { $declared }: podem faltar registros
    .fix = A ordem da origem talvez não seja estável entre páginas. Execute o mesmo período de novo, com --page-size maior ou --concurrency 1, e confira com quem mantém a API.
    .page = A ordem da origem talvez não seja estável entre páginas. Crie um igual com mais registros por página, e confira com quem mantém a API.

## Conectores

error-connectors-folder = Não foi possível ler a pasta de conectores { $folder }: { $reason }
    .fix = Gere os conectores com: cargo xtask connectors, ou indique a pasta com --connectors.
    .page = Confira se a pasta existe na máquina do servidor e se o Atlas pode lê-la.
published-not-taken = Não foi possível pôr em { $folder } o conector publicado da rota { $route }: { $reason }
    .fix = Garanta que este usuário possa escrever na pasta; o worker tenta de novo sozinho. Se o problema são os bytes, publique de novo.
error-route-unknown = Nenhum conector atende a rota { $route } em { $folder } (rotas: { $routes })
    .fix = Confira o nome da rota com: atlas connector list, ou indique outra pasta com --connectors.
    .page = Conectores mostra as rotas que há e o que houve com as outras.
load-unreadable = { $file } não pôde ser lido: { $reason }
    .fix = Confira se o arquivo existe e se há permissão de leitura.
load-too-large = { $file } tem { $bytes } bytes; o máximo é { $limit }
    .fix = Reduza o componente, ou aumente component_bytes na seção [limits] do atlas.toml.
load-link = { $file } é um link simbólico para { $target }, fora da pasta de conectores
    .fix = Coloque o próprio arquivo na pasta; links só são seguidos dentro dela.
load-parts = { $file } tem { $found } { $part ->
        [imports] importações
        [modules] módulos
        [components] componentes
        [instances] instâncias
       *[functions] funções
    }; o máximo é { $limit }
    .fix = Nenhum conector precisa de tantas partes: avise o autor, e não o aceite de quem o fez assim.
load-too-much-memory = { $file } começa com { $bytes } bytes de memória, mais que o limite guest_memory ({ $limit })
    .fix = Avise o autor do conector; se for legítimo, aumente guest_memory na seção [limits] do atlas.toml.
load-pin = { $file } não é o arquivo fixado para a rota { $route }: seu SHA-256 é { $found }, o atlas.toml diz { $pinned }
    .fix = Traga de volta o arquivo fixado; ou, se confia neste, ponha { $found } em sha256, na seção [connector.{ $route }] do atlas.toml.
load-unsigned = { $file } não está assinado: não há { $signature }
    .fix = Coloque a assinatura ao lado do arquivo; quem tem a chave a faz com: atlas connector sign { $file } --key CHAVE.
load-signature = { $file } não é o que foi assinado: { $signature } não confere ({ $reason })
    .fix = Peça arquivo e assinatura de novo a quem assinou; o atlas.toml lista as chaves na seção [connector.{ $route }].
load-core-module = { $file } é um módulo WebAssembly simples, não um componente
    .fix = Transforme-o em componente: atlas connector componentize.
load-not-a-component = { $file } não é um componente WebAssembly: { $reason }
    .fix = Gere o arquivo de novo; ele pode estar truncado ou ser de outro tipo.
load-imports = { $file } importa o que um conector não pode usar: { $imports }
    .fix =
        Gere-o sem isso.{ $http ->
            [0] {""}
           *[other] {" "}wasi:http: componentize-js com disableFeatures: ['http', 'fetch-event'], jco com --disable http --disable fetch-event, componentize-qjs e componentize-py com --stub-wasi; as requisições passam por atlas:connector/http.
        }{ $version ->
            [0] {""}
           *[other] {" "}WASI de outra versão: só a 0.2 é atendida; atualize a ferramenta ou gere com --stub-wasi.
        }{ $wasi ->
            [0] {""}
           *[other] {" "}Outros pacotes WASI: retire a biblioteca que os pede, ou gere com --stub-wasi.
        }{ $foreign ->
            [0] {""}
           *[other] {" "}Outras importações: retire-as do world do conector; ele só pode importar atlas:connector e, do WASI, cli, io, clocks, random, filesystem e sockets.
        }
load-proposals = { $file } usa extensões do WebAssembly que um conector não pode usar: { $proposals }
    .fix = Gere-o sem elas: sem -C target-feature (Rust), -m… (clang) ou opções do compilador que as liguem.
load-version = { $file } foi feito para atlas:connector@{ $found }; esta versão atende { $have }
    .fix = Gere o conector de novo com a pasta wit/ desta versão, ou atualize o Atlas.
load-does-not-fit = { $file } não segue o contrato de conectores: { $reason }
    .fix = Gere o conector de novo com a pasta wit/ desta versão.
load-describe = { $file } não soube se descrever: { $reason }
    .fix = Avise o autor do conector.
load-describe-ended = { $file } encerrou o processo em que foi examinado ({ $signal })
    .fix = Não use este arquivo, e avise o autor do conector: ele explora ou encontrou um defeito do motor de WebAssembly. Nada mais foi atingido.
load-descriptor = { $file } se descreve de um modo que não serve: { $reason }
    .fix = Avise o autor do conector.
load-compile-limit = Compilar { $file } passou do limite { $name } ({ $value })
    .fix = Avise o autor do conector; se for legítimo, aumente { $name } na seção [limits] do atlas.toml.
load-code-too-large = { $file } passa de { $limit } bytes de código quando é compilado
    .fix = Nenhum conector precisa de tanto: avise o autor, e não o aceite de quem o fez assim.
load-not-compiled = { $file } não pôde ser compilado aqui: { $reason }
    .fix = Confira se esta máquina tem memória e pode iniciar processos, e tente de novo; nada se sabe contra o arquivo.
load-trial = { $file } falhou com uma página que a versão atual buscou bem: { $reason }
    .fix = Avise o autor do conector; a versão atual continua até que o arquivo mude, ou até que você aceite esta: atlas connector accept ROTA.
    .page = Avise o autor do conector; a versão atual continua até que o arquivo mude, ou até que você aceite esta na página do conector.
load-route-taken = { $file } atende a rota { $route }, que { $other } também atende
    .fix = Deixe só um dos dois na pasta de conectores.
connector-key-made = ✅ Chave secreta em { $key }, chave pública em { $public }. Guarde a primeira só com você; liste a segunda em keys no atlas.toml
connector-signed = ✅ { $file } assinado: { $signature }
connector-verified = ✅ { $file } é o que foi assinado: { $signature }
error-no-keys = Nenhuma chave para conferir { $file }: o atlas.toml não lista nenhuma para a rota { $route }
    .fix = Indique uma com --key, ou liste-a em keys na seção [connector.{ $route }] do atlas.toml.
error-key-file = A chave em { $file } não pode ser usada: { $reason }
    .fix = Indique um arquivo de chave no formato do minisign; atlas connector keygen faz um.
error-key-exists = { $file } já existe, e nenhuma chave é sobrescrita
    .fix = Escolha outro nome, ou mova o arquivo.
error-key-password = A senha da chave { $file } falta ou está errada
    .fix = Defina ATLAS_SIGNING_PASSWORD, ou passe a senha por um pipe.
error-no-password = Falta a senha da chave
    .fix = Defina ATLAS_SIGNING_PASSWORD, ou passe a senha por um pipe; para uma chave sem senha, use --no-password.
error-file-unwritable = Não foi possível gravar { $file }: { $reason }
    .fix = Confira a pasta, as permissões e o disco.
componentize-done = ✅ Componente gravado em { $file } ({ $bytes } bytes). Para examiná-lo: atlas connector inspect { $file }
componentize-failed = Não foi possível transformar { $file } em componente: { $reason }
    .fix = Ele precisa ser um módulo simples (crate-type cdylib, alvo wasm32-unknown-unknown) de um crate que exporta um conector com o SDK.
componentize-unwritable = Não foi possível gravar o componente em { $file }: { $reason }
    .fix = Confira se a pasta existe e se há permissão de escrita.

## Recarga de conectores

connector-used = { $pages ->
        [1] 1 página
       *[other] { $pages } páginas
    }, { $traps ->
        [1] 1 trap
       *[other] { $traps } traps
    }, { $refusals ->
        [1] 1 recusa
       *[other] { $refusals } recusas
    }
    CPU { $cpu } s, memória até { $memory } MiB
connector-took-over = 🔄 Rota { $route }: a versão { $version } ({ $digest }) atende a partir da próxima página
connector-untried-no-page = {"   "}↳ sem prova: este processo ainda não buscou nenhuma página desta rota
connector-untried-cursors = {"   "}↳ sem prova: os cursores mudaram de significado; cada scrap em andamento fica na versão que o começou
connector-untried-request = {"   "}↳ sem prova: a nova versão pede o que a página guardada não tem ({ $request })
connector-untried-busy = {"   "}↳ sem prova: não foi possível levar a prova até o fim ({ $reason })
connector-ended-process = Rota { $route }: a versão { $version } ({ $digest }) encerrou o processo ({ $signal }), e outra vez sozinha; está segurada em todas as máquinas
    .fix = Não a use: troque o arquivo por outra versão e avise o autor do conector. Se o defeito era do Atlas e já foi corrigido: atlas connector accept { $route } --digest { $digest }.
    .page = Não a use: troque o arquivo por outra versão e avise o autor do conector. Se o defeito era do Atlas e já foi corrigido, aceite-a na página do conector.
connector-held = Rota { $route }: a nova versão { $version } ({ $digest }) espera a sua palavra
    .fix = Confira com: atlas connector list. Para deixá-la atender: atlas connector accept { $route } --digest { $digest }.
    .page = Confira o motivo na página do conector e, se estiver bem, aceite-a ali.
connector-goes-on = ↪️ A rota { $route } continua com a versão { $version } ({ $digest })
connector-rolled-back = ↩️ Rota { $route }: de volta à versão { $version } ({ $digest }), até que o arquivo mude
connector-removed = 🗑️ { $file } foi removido: a rota { $route } continua com a versão { $version } ({ $digest }) até o fim deste processo
connector-accepted = ✅ Rota { $route }: versão { $version } ({ $digest }) aceita. Os processos em andamento a usam em até um segundo.
connector-went-back = ✅ Rota { $route }: de volta à versão { $version } ({ $digest }) até que o arquivo mude. Os processos em andamento a usam em até um segundo.
connector-published = ✅ Rota { $route }: versão { $version } ({ $digest }) publicada. Os workers a adotam em segundos.
published-present = atual
published-earlier = anterior
connector-servindo = atende
connector-retida = espera a sua palavra
connector-revertida = revertida
connector-recusada = recusada
hold-records = com as mesmas respostas, uma página deu { $after ->
        [1] 1 registro
       *[other] { $after } registros
    } em vez de { $before }
hold-requests = declara mais requisições ({ $requests })
hold-credential = quer outra credencial, ou a quer em outro lugar das requisições ({ $after }; até agora { $before })
hold-ended-process = segurado: encerrou o processo ({ $signal })
hold-unhashed = deixa mais fora do hash do conteúdo ({ $pointers }): linhas já gravadas pareceriam novas
error-nothing-held = Nenhuma versão da rota { $route } espera a sua palavra
    .fix = Veja o estado dos conectores com: atlas connector list.
    .page = O estado da rota está na página do conector.
error-another-waits = O que espera na rota { $route } é a versão { $version } ({ $waits }), e não { $digest }
    .fix = Confira com: atlas connector list. Depois aceite pelo resumo: atlas connector accept { $route } --digest { $waits }.
    .page = Confira a versão que espera na página do conector, e aceite-a de novo.
error-version-not-kept = Não há uma versão anterior da rota { $route } para voltar ({ $digest })
    .fix = Ficam guardadas as dez últimas versões que atenderam a rota; para outra, copie o arquivo dela para a pasta de conectores.
error-connector-state = O que se lembra dos conectores não pôde ser alterado: { $reason }
    .fix = Confira se a pasta de ATLAS_STATE pertence a este usuário e se há espaço em disco.

## Banco

db-file-created = 🆕 Banco embutido criado: { $file }
db-created = ✅ Tabelas criadas em { $location }
db-ready = ✅ Tabelas prontas em { $location }
db-concern = ⚠️ { $what } (atlas doctor diz o que fazer)
db-adopted = ℹ️ Banco existente adotado: as tabelas e os dados de antes ficam como estão
db-foreign-rows = ℹ️ { $rows ->
        [1] 1 registro de antes tem
       *[other] { $rows } registros de antes têm
    } outro tipo de hash: o mesmo conteúdo, buscado de novo, vira um registro novo
db-status = { $location }: { $server }, versão das tabelas { $version } (programa: { $newest })
db-status-ready = ✅ Tudo pronto
db-status-not-ready = ⚠️ Faltam tabelas ou o índice único de hash_conteudo ({ $tables }). Execute: atlas db init

## Verificação

verify-by-route = 📊 Registros do cliente { $client } em dados_raw, por rota
verify-newest = 🕒 Últimos registros do cliente { $client }
verify-scraps = 🧾 Scraps do cliente { $client }: lidos = inseridos + duplicados + reencontrados + rejeitados
verify-ok = ✅ Confere: nenhum registro em dobro, e as contas de todos os scraps fecham
verify-unfinished = ⚠️ Scraps que não terminaram: { $ids }. Podem faltar registros: retome com atlas scrap resume
verify-off = ⚠️ Não confere: veja as colunas acima
adds-up = confere
does-not-add-up = NÃO CONFERE

## Diagnóstico

doctor-database = Banco acessível: { $location }
doctor-tables = Tabelas prontas ({ $server }, versão { $version })
doctor-tables-missing = Tabelas ausentes: { $tables }
    .fix = Execute: atlas db init.
    .page = Na máquina do servidor, execute: atlas db init.
doctor-hash-not-unique = dados_raw.hash_conteudo não tem índice único
    .fix = Execute: atlas db init. Se houver hashes repetidos, remova-os antes.
    .page = Na máquina do servidor, execute: atlas db init. Se houver hashes repetidos, remova-os antes.
doctor-trigger = dados_raw tem o gatilho { $name } no INSERT, que pode descartar ou mudar registros
    .fix = Um registro que ele descarta fica entre os rejeitados e é informado assim. Se não é o que se quer, remova ou desative o gatilho.
doctor-rule = dados_raw tem a regra { $name } no INSERT, e o PostgreSQL não aceita ON CONFLICT numa tabela assim: nenhum registro pode ser gravado
    .fix = Remova a regra (DROP RULE { $name } ON dados_raw); um gatilho pode fazer o mesmo.
doctor-table-kind = dados_raw é { $kind ->
        [partitioned] particionada: o índice único de hash_conteudo precisa valer para todas as partições
        [view] uma view, na qual nada se grava com ON CONFLICT
       *[foreign] uma tabela externa, que não tem índice único próprio
    }
    .fix = O Atlas precisa de uma tabela comum com índice único em hash_conteudo: deixe que ele crie dados_raw num banco ou schema só dele.
doctor-row-security = A segurança por linha de dados_raw decide quais linhas este usuário grava e vê
    .fix = Dê ao usuário uma política para todas as linhas, ou BYPASSRLS; as que ele não vê são informadas como ausentes.
doctor-column-type = dados_raw.{ $column } é { $found }, e não { $wanted }
    .fix = { $column ->
        [id] Quando os números acabam, ou onde nenhum é dado, nenhuma linha pode ser gravada: mude a coluna para { $wanted }.
        [hash_conteudo] Um hash tem 64 caracteres, e um registro cujo hash não cabe é rejeitado: mude a coluna para { $wanted }.
       *[other] Um registro que não cabe é rejeitado: mude a coluna para { $wanted }.
    }
doctor-column-default = dados_raw.{ $column } exige um valor e não tem padrão: nenhum registro pode ser gravado
    .fix = Dê um padrão à coluna, ou deixe que seja NULL.
doctor-encoding = A codificação do banco é { $encoding }, e não UTF8: registros com letras que ela não tem não podem ser gravados
    .fix = Crie um banco com ENCODING 'UTF8' e leve os dados para lá (pg_dump, pg_restore).
doctor-right = Falta a este usuário o direito { $right } em { $on }
    .fix = Como dono: GRANT { $right } ON { $right ->
        [USAGE] SEQUENCE{" "}
       *[other] {""}
    }{ $on } TO o usuário com que o Atlas se conecta (veja o fim de migrations/dba.sql).
doctor-no-clients = Nenhum cliente registrado
    .fix = Registre com: atlas client add 2151 --token - --base-url URL.
    .page = Cadastre o primeiro: número, token e URL base.
doctor-clients = Clientes registrados: { $count }
doctor-client-without-url = O cliente { $client } não tem endereço de API
    .fix = Registre com: atlas client set { $client } --base-url URL.
    .page = Digite a URL base na página do cliente.
doctor-budget-nearly-spent = O cliente { $client } tem { $used } dos { $most } que { $name } permite
    .fix = Além disso os scraps dele param. Mova ou apague o que não é mais preciso, ou aumente { $name } no atlas.toml, em [client.{ $client }.limits] ou em [limits].
doctor-scrap-abandoned = O processo que executava o scrap { $id } não responde mais
    .fix = Um worker que esteja no ar o assume sozinho em instantes; sem nenhum: atlas scrap resume { $id }.
    .page = Outro processo o assume sozinho em instantes; se não, use Retomar na página do scrap.
doctor-connectors = Conectores em { $folder }: { $routes }
doctor-no-connectors = Nenhum conector em { $folder }
    .fix = Gere os conectores com: cargo xtask connectors, ou indique a pasta com --connectors.
    .page = Coloque ali um conector (.wasm): cada um traz uma rota, e aparece sem reiniciar.
doctor-error-log = Erros são registrados em { $file }
doctor-error-log-unwritable = Não é possível gravar { $file } nesta pasta: { $reason }
    .fix = Execute o Atlas em uma pasta onde possa gravar.

## Palavras e títulos

yes = sim
no = não
default-api = (padrão)
heading-id = id
heading-scrap = scrap
heading-client = cliente
heading-route = rota
heading-period = período
heading-state = estado
heading-resumes = Retoma em
heading-reason = motivo
heading-pages = páginas
heading-frontier = páginas a buscar
heading-read = lidos
heading-inserted = inseridos
heading-duplicate = duplicados
heading-again = reencontrados
heading-rejected = rejeitados
heading-declared = declarados
heading-adds-up = contas
heading-seconds = segundos
heading-connector = conector
heading-created = criado em
heading-active = ativo
heading-api = API
heading-base-url = endereço
heading-private = endereço privado
heading-parts = partes
heading-access-token = token de acesso
heading-version = versão
heading-sha256 = sha256
heading-used = uso aqui
heading-file = arquivo
heading-takes-period = usa período
heading-page-size = registros por página
heading-scheme = onde vai a credencial
heading-settings = configurações
heading-budget = orçamento que declara
inspect-grant = Para permitir estes pedidos, escreva no atlas.toml:
inspect-headers = Quais cabeçalhos próprios do fornecedor o conector envia, o contrato 0.1 não diz: uma execução a que falte a permissão de um termina com a linha headers = […] para colar.
heading-requests = requisições de que precisa
heading-key = chave
heading-unhashed = fora do hash
heading-slices = fatias concluídas
heading-cursor = cursor
heading-position = posição
heading-detail = detalhe
heading-content = conteúdo
heading-records = registros
heading-twice = em dobro
heading-first = primeira coleta
heading-last = última coleta
heading-collected = coletado em
op-schedule = agendar
error-cron = "{ $value }" não é um agendamento: { $reason }
    .fix = Cinco campos: minuto, hora, dia do mês, mês, dia da semana. A cada seis horas: "0 */6 * * *".
error-timezone = Não existe o fuso horário "{ $value }"
    .fix = Os nomes são os da base IANA: America/Sao_Paulo, UTC.
error-slice = "{ $value }" não é o tamanho de uma fatia
    .fix = Tantos dias ou semanas: --slice 1d, --slice 2w.
    .page = Tantos dias ou semanas: 1d, 2w.
error-slices = Fatias de { $value } são mais de { $max }
    .fix = Use fatias mais longas, ou um período mais curto.
error-window = "{ $value }" não é uma janela
    .fix = Tantos dias ou semanas, no máximo dez anos: 2d, 1w.
error-window-missing = A rota { $route } exige um período, e nenhuma janela foi informada
    .fix = Acrescente --janela 2d: hoje e o dia anterior.
    .page = Preencha a janela; 2d é hoje e o dia anterior.
error-schedule-unknown = Não existe a agenda { $id }
    .fix = atlas schedule list mostra as que existem.
    .page = As que existem estão em Agenda.
error-schedule-overlaps = O último scrap da agenda { $id } ({ $scrap }) ainda não terminou
    .fix = Espere por ele, ou: atlas scrap cancel { $scrap }.
    .page = Espere por ele, ou cancele-o.
error-schedule-paused = A agenda { $id } está pausada, ou acabou de ser alterada
    .fix = atlas schedule resume { $id }, e de novo.
    .page = Ative-a na Agenda, e de novo.
schedule-added = ✅ Agenda { $id } adicionada: os workers criam os scraps dela (atlas worker).
schedule-paused = ⏸️ A agenda { $id } não cria scraps.
schedule-resumed = ▶️ A agenda { $id } cria scraps de novo.
schedule-removed = 🗑️ Agenda { $id } removida; os scraps dela ficam.
schedule-is-paused = pausada
heading-cron = cron
heading-timezone = fuso
heading-window = janela
heading-next = próxima
error-reject-unknown = Não existe o registro rejeitado { $id }
    .fix = atlas rejects list mostra os que existem.
    .page = Os que existem estão na página do scrap.
reject-replayed-before = O registro { $id } já foi levado para a tabela.
reject-still = ⚠️ O registro { $id } continua rejeitado: { $text } ({ $reason })
rejects-replayed = { $inserted ->
        [1] 1 inserido
       *[other] { $inserted } inseridos
    }, { $duplicate ->
        [1] 1 já estava lá
       *[other] { $duplicate } já estavam lá
    }, { $rejected ->
        [1] 1 continua rejeitado
       *[other] { $rejected } continuam rejeitados
    }
error-scrap-of-another = O scrap { $id } não é do cliente { $client }
    .fix = atlas scrap show { $id } diz de quem é.
    .page = A página do scrap diz de quem é.
heading-sweep = varredura
heading-off-by = diferença
heading-first-declared = declarado na primeira
verify-moved = Em { $pages ->
        [1] 1 página
       *[other] { $pages } páginas
    } a origem declarou outro total que na primeira: ela mudou durante a leitura.
verify-declared-off = Lidos { $read }: { $off } em relação ao total que a origem declarou.
verify-scrap-ok = ✅ confere: as páginas do scrap { $id } somam o que ele diz.
verify-scrap-off = ❌ As páginas do scrap { $id } não somam o que ele diz: { $off ->
        [1] 1 registro
       *[other] { $off } registros
    }.
rejected-no_connector = nenhum conector serve a rota dele aqui
error-api-exists = A API { $api } do cliente { $client } já está registrada
    .fix = Para alterá-la: atlas client set { $client } --api { $api }, ou atlas client credential set { $client } --api { $api }.
    .page = Abra-a na página do cliente para alterá-la.
client-api-removed = ✅ API { $api } do cliente { $client } removida
reject-in-table = levado para a tabela { $when }
doctor-api-of-nobody = O atlas.toml cita a API { $api }, e nenhum conector é dessa API
    .fix = Corrija api em [[budget]] ou [[grant]]; atlas connector list mostra as APIs.

# The page and the API
op-access = acesso
op-browse = consulta
op-serve = servidor
serve-at = 🌐 Página e API em { $url }
serve-link = 🔑 Entrada (uma vez, em até 15 minutos): { $link }
serve-in-the-clear = ⚠️ Escutando além desta máquina sem TLS: senhas e dados passam em claro pela rede. Informe --tls-cert e --tls-key, ou ponha um proxy com TLS na frente.
serve-ended = Servidor encerrado.
telemetry-not-sent = ⚠️ Os traces não chegam ao coletor (OTLP): { $reason }. O trabalho segue sem eles.
access-link = Vale uma vez, por 15 minutos.
access-password = ✅ Senha definida. Quem estava dentro precisa entrar de novo.
access-token = ✅ Token { $id } criado. Guarde-o agora: não é mostrado de novo.
access-token-revoked = ✅ Token { $id } revogado.
error-listen = não é possível escutar em { $address }: { $reason }
    .fix = Escolha outro endereço ou porta com --listen ENDEREÇO:PORTA.
error-serve = o servidor parou: { $reason }
    .fix = Inicie de novo com `atlas serve`; os scraps continuam de onde pararam.
error-certificate = { $file } não serve de certificado ou chave: { $reason }
    .fix = Informe em --tls-cert a cadeia e em --tls-key a chave, ambas em PEM.
error-password-length = a senha precisa ter de { $min } a { $max } caracteres
    .fix = Use uma frase que só você conhece.
error-random = o sistema não forneceu números aleatórios
    .fix = Tente de novo; se persistir, verifique o sistema operacional.
error-token-name = o nome do token falta ou passa de { $max } caracteres
    .fix = Dê um nome curto que diga qual programa o usa.
error-token-unknown = não há token { $id }
    .fix = Veja os números em `atlas access token list`.
    .page = Os que existem estão em Acessos.
error-page = Uma página de { $route } para o cliente { $client } não veio: { $reason }
    .fix = Confira o token e a URL base do cliente, e tente de novo.
error-page-late = a página não veio em { $seconds } s
    .fix = A origem está lenta ou o orçamento de requisições está gasto: tente mais tarde.
error-page-private = A API do cliente { $client } está em endereço que não foi concedido: { $reason }
    .fix = Se é de propósito, conceda na máquina do servidor: `atlas client set { $client } --allow-private`. Uma URL dada pela página não concede nada.
error-page-header = O conector define { $number ->
        [one] um cabeçalho que não foi concedido
       *[other] cabeçalhos que não foram concedidos
    } para a API { $api }: { $headers }
    .fix =
        Se a API pede isso, o atlas.toml na máquina do servidor precisa destas linhas:
        {"[[grant]]"}
        api = "{ $api }"
        headers = {"["}{ $headers }{"]"}
web-scraps = Scraps
web-clients = Clientes & Tokens
web-connectors = Conectores
web-data = Dados
web-schedules = Agenda
web-health = Saúde
web-accesses = Acessos
web-skip = Ir para o conteúdo
web-menu = Menu
web-live-on = ao vivo
web-live-off = sem conexão ao vivo
web-live-hint = O que muda aparece sem recarregar
web-language = Idioma
web-colours = Cores
web-colours-auto = Automáticas
web-colours-light = Claras
web-colours-dark = Escuras
web-sign-in = Entrar
web-sign-out = Sair
web-sign-in-by-link = Este link entra uma vez neste navegador.
web-sign-in-hint = Sem senha? Peça um link na máquina do servidor:
web-no-password-yet = Ainda não há senha. Use o link de entrada que o servidor mostrou ao iniciar.
web-password = Senha
web-password-wrong = A senha não confere
    .fix = Confira e tente de novo; ou peça um link com `atlas access link`.
web-link-used = Este link já foi usado ou venceu
    .fix = Peça outro na máquina do servidor: `atlas access link`.
web-session-over = A sessão terminou
    .fix = Entre de novo: o que você digitou volta com você (menos senhas e tokens).
web-throttled = tentativas demais: espere { $seconds } s
    .fix = Confira a senha enquanto isso.
web-not-signed-in = ninguém entrou
    .fix = Envie um token válido (Authorization: Bearer atlas_…) ou entre na página.
web-not-allowed = este acesso só permite ler
    .fix = Use um acesso total.
web-foreign-page = o pedido veio de outra página
    .fix = Faça-o na própria página do Atlas.
web-form-expired = o formulário é de outra sessão
    .fix = Abra-o de novo e envie outra vez.
web-form-again = Abrir o formulário de novo
web-other-host = este servidor não atende pelo nome “{ $host }”
    .fix = Use o endereço que `atlas serve` mostra, ou inicie-o com --host { $host }.
web-too-large = o pedido é grande demais
    .fix = Conectores se colocam na pasta, ou se publicam com `atlas connector publish`.
web-bad-request = o pedido não se entende: { $reason }
    .fix = Veja o formato em /api/v1/docs.
web-other-media = o corpo precisa ser application/json
    .fix = Envie Content-Type: application/json.
web-other-method = este endereço não aceita esse método
    .fix = Veja os métodos em /api/v1/docs.
web-idempotency-key = a Idempotency-Key precisa ter de 1 a { $max } caracteres ASCII
    .fix = Use um UUID para cada pedido.
web-request-different = esta Idempotency-Key já foi usada para outro pedido
    .fix = Use uma chave nova para cada pedido.
web-request-underway = o pedido com esta Idempotency-Key está em andamento, ou não se sabe como terminou
    .fix = Olhe o que existe antes de pedir de novo com outra chave.
web-page-unknown = não há nada em { $path }
    .fix = Comece por /scraps ou, para programas, por /api/v1/docs.
web-failed = Não deu certo
web-back = Voltar ao início
web-leave-it = Deixar como está
web-filter = Filtrar
web-filter-none = Tirar o filtro
web-all = Todos
web-client = Cliente
web-route = Rota
web-period = Período
web-state = Estado
web-progress = Progresso
web-progress-of = Progresso do scrap { $id }
web-pages = Páginas
web-read = Lidos
web-inserted = Inseridos
web-duplicate = Duplicados
web-again = Reencontrados
web-rejected = Rejeitados
web-rate = Registros/s
web-rate-unit = registros/s
web-left = Restam
web-actions = Ações
web-paging = Páginas da lista
web-newest = Mais novos
web-older = Mais antigos
web-first = Primeiros
web-next = Próximos
web-shown = { $count ->
        [1] 1 mostrado
       *[other] { $count } mostrados
    }
web-more-new = Há scraps novos: recarregar
web-nothing-found = Nada corresponde ao filtro.
web-first-connector = Primeiro, coloque um conector (.wasm) na pasta { $folder }: cada um traz uma rota. Ele aparece aqui sem reiniciar.
web-first-client = Primeiro, cadastre um cliente: seu número, seu token e a URL base da API.
web-first-scrap = Tudo pronto para o primeiro scrap: escolha cliente, rota e período.
web-new-scrap = Criar Scrap
web-create-and-run = Criar e executar
web-create = Criar Scrap (executar depois)
web-see-preview = Ver a primeira requisição
web-preview = Primeira requisição
web-preview-none = O conector não disse qual seria a primeira requisição.
web-preview-hint = A partir da URL base da API { $api }; conector { $version }; { $size ->
        [1] 1 registro
       *[other] { $size } registros
    } por página. Nada foi enviado.
web-preview-slices = Seriam { $count ->
        [1] 1 fatia
       *[other] { $count } fatias
    }.
web-choose = Escolha
web-from = De
web-to = Até
web-slice = Dividir em partes de
web-slice-hint = Dias ou semanas: 1d, 1w; vazio, não divide
web-more-settings = Lote, tentativas, tamanho da página
web-batch = Lote (BATCH_EXPORT)
web-batch-hint = Registros por transação
web-retries = Tentativas (RETRY_MAX)
web-retries-hint = Tentativas por página
web-page-size = Registros por página
web-page-size-hint = Quantos registros pedir por página
web-as-connector = como o conector
web-route-missing = Falta a rota
    .fix = Escolha uma rota da lista.
web-no-number = “{ $value }” não é um número que sirva em { $field }
    .fix = Digite só algarismos, até 2147483647.
web-again-at = tenta de novo às
web-throttled-until = espera até
web-run = Executar Scrap
web-resume = Retomar
web-pause = Pausar
web-cancel = Cancelar
web-same-again = Criar igual
web-cancel-scrap = Cancelar o scrap { $id }
web-ask-cancel = O scrap { $id } (cliente { $client }, rota { $route }) para onde está: { $pages ->
        [1] { $pages } página
       *[other] { $pages } páginas
    } e { $read ->
        [1] 1 registro já lido
       *[other] { $read } registros já lidos
    } ficam na tabela. Ele pode ser retomado depois.
web-scrap = Scrap { $id }
web-slices = Fatias: { $done } de { $count } concluídas
web-slice-of = Fatia do scrap { $id }
web-slices-of = Fatias do scrap { $id }
web-frontier = A buscar
web-page-ms = ms por página
web-failed-attempts = Tentativas repetidas
web-plot = Ritmo
web-plot-none = O gráfico aparece enquanto o scrap executa.
web-reconciliation = Conciliação
web-declared = Declarados pela origem
web-adds-up = confere
web-adds-up-so-far = confere até aqui
web-off-by = não confere: { $count ->
        [1] 1 registro lido
       *[other] { $count } registros lidos
    } sem destino
web-missing = a origem declarou { $declared } e foram lidos { $read }
web-strip = Páginas do scrap
web-strip-none = Nenhuma página ainda.
web-all-pages = Ver todas as páginas
web-page-gravada = gravada
web-page-repetida = tentada de novo
web-page-rejeitada = com rejeitados
web-page-buscada = buscada, sendo gravada
web-page-pendente = por buscar
web-records = { $count ->
        [1] 1 registro
       *[other] { $count } registros
    }
web-pages-of = Páginas do scrap { $id }
web-cursor = Cursor
web-sweep = Varredura
web-attempts = Tentativas
web-written-at = Gravada em
web-rejects = Registros rejeitados
web-rejects-see = Ver { $count ->
        [1] 1 rejeitado
       *[other] { $count } rejeitados
    }
web-rejects-of = Rejeitados do scrap { $id }
web-rejects-none = Nenhum registro rejeitado.
web-replay = Reprocessar
web-replay-all = Reprocessar todos
web-replay-hint = Reprocessar verifica de novo e grava o que agora for aceito.
web-replayed = reprocessado
web-replayed-todos = Reprocessado: está na tabela.
web-replayed-alguns = Reprocessado: parte está na tabela, parte continua rejeitada.
web-replayed-nenhum = Nada entrou na tabela: o motivo está em cada registro.
web-position = Posição na página
web-when = Quando
web-size = Tamanho
web-exact-bytes = Baixar os bytes exatos
web-log = Histórico do scrap
web-log-none = Nada ainda.
web-details = Detalhes
web-created = Criado em
web-ran = Executou por
web-connector = Conector
web-line-begins = O scrap { $id } começou ({ $pages ->
        [1] 1 página já feita
       *[other] { $pages } páginas já feitas
    }), gravando em { $location }
web-line-attempt = Tentativa { $attempt } de { $of } falhou: { $reason }; de novo em { $wait } s
web-line-not-ready = Ainda não está pronto (consulta { $tried } de { $of }): { $reason }; nova consulta em { $wait } s
web-line-rejected = Registro rejeitado: { $code ->
        [too_large] { rejected-too_large }
        [not_utf8] { rejected-not_utf8 }
        [not_json] { rejected-not_json }
        [too_deep] { rejected-too_deep }
        [nul_character] { rejected-nul_character }
        [lone_surrogate] { rejected-lone_surrogate }
        [number_out_of_range] { rejected-number_out_of_range }
        [duplicate_key] { rejected-duplicate_key }
        [database] { rejected-database }
        [not_kept] { rejected-not_kept }
       *[other] { $code }
    } (detalhe: { $reason })
web-line-ended-pendente = O scrap { $id } voltou à fila
web-line-ended-executando = O scrap { $id } segue em outro processo
web-line-ended-concluido = O scrap { $id } foi concluído
web-line-ended-concluido_com_ressalva = O scrap { $id } foi concluído com ressalva
web-line-ended-interrompido = O scrap { $id } foi interrompido
web-line-ended-pausado = O scrap { $id } foi pausado
web-line-ended-token_recusado = O scrap { $id } parou: o token foi recusado
web-line-ended-suspenso = O scrap { $id } foi suspenso
web-line-ended-cancelado = O scrap { $id } foi cancelado
web-line-ended-falhou = O scrap { $id } falhou
web-clients-hint = Um token guardado nunca é mostrado de novo.
web-new-client = Novo cliente
web-client-id = Número do cliente
web-client-id-hint = O cliente_id, como o sistema do cliente o conhece
web-client-of = Cliente { $id }
web-token = Token
web-token-hint = É guardado e não volta a ser mostrado
web-token-again-hint = Vazio: fica o que está guardado
web-base-url = URL base da API
web-base-url-hint = Endereço da rede interna (10.x, 192.168.x, localhost)? Quem cuida do servidor precisa liberá-lo
web-save = Salvar
web-saved = Salvo.
web-active = ativo
web-inactive = inativo
web-paused = pausada
web-apis = APIs
web-default-api = Padrão
web-default-serves = Este token e este endereço servem: { $apis }
web-default-unbound = Este token e este endereço ainda não servem nenhuma API: o primeiro scrap decide qual.
web-bind-default = Servir também { $api }
web-default-bound = O token e o endereço padrão do cliente { $client } servem a API desta rota a partir de agora, e nenhuma outra.
web-no-default-api = Este cliente não tem URL base padrão.
web-default-token = usa o token padrão
web-has-parts = credencial própria:
web-own-apis = APIs próprias
web-own-apis-hint = Uma API com endereço ou credencial diferente do padrão.
web-set-api = Configurar a API { $api }
web-no-parts = Os conectores desta API não pedem credencial.
web-part-token = Token
web-part-username = Usuário
web-part-password = Senha
web-part-client-id = client_id
web-part-client-secret = client_secret
web-part-refresh-token = refresh_token
web-part-token-url = URL do token (token_url)
web-part-scope = Escopo (scope)
web-replace = Substituir
web-remove = Remover
web-remove-api = Remover a API { $api }
web-ask-remove-api = A API { $api } do cliente { $id } e sua credencial são apagadas. Os dados ficam.
web-activate = Ativar
web-deactivate = Desativar
web-deactivate-client = Desativar o cliente { $id }
web-ask-deactivate = Nenhum scrap do cliente { $id } começa enquanto ele estiver inativo. Dados e token ficam.
web-remove-client = Remover o cliente { $id }
web-ask-remove-client = O cliente { $id } e suas credenciais são apagados. Só é possível se não houver dados nem scraps dele.
web-test-token = Testar o token
web-test-token-hint = Busca uma página de verdade; nada é gravado.
web-test = Testar
web-connectors-hint = Cada arquivo .wasm desta pasta traz uma rota; trocar o arquivo troca a próxima página:
web-connector-of = Conector { $route }
web-connector-soon = Feito: vale em até um segundo.
web-api = API
web-version = Versão
web-digest = SHA-256
web-file = Arquivo
web-traps = Falhas
web-refusals = Recusas
web-cpu = CPU
web-memory = Memória (pico)
web-reloads = Trocas ao vivo
web-reloads-hint = O que acontece com os arquivos enquanto esta página está aberta.
web-serving = em uso
web-accept = Aceitar a versão retida
web-roll-back = Voltar à versão anterior
web-go-back-to = Voltar a esta
web-credential = Credencial
web-limits = Limites
web-limits-hint = Mudam-se em atlas.toml.
web-limit-memory = Memória do conector
web-limit-cpu = CPU por página
web-limit-requests = Requisições por página
web-limit-body = Resposta
web-limit-records = Registros por página
web-history = Versões
web-history-none = Nenhuma versão serviu ainda.
web-try-page = Testar uma página
web-try-page-hint = Busca a primeira página com este conector; nada é gravado.
web-try = Testar
web-tried = Teste feito: nada foi gravado
web-tried-records = { $count ->
        [1] 1 registro
       *[other] { $count } registros
    } em { $took }
web-tried-next = Páginas seguintes: { $next }.
web-tried-total = Total declarado: { $total }.
web-accept-version = Aceitar a versão de { $route }
web-ask-accept = A versão retida de { $route } passa a servir a partir da próxima página, em todos os scraps.
web-roll-back-route = Voltar a versão de { $route }
web-ask-roll-back = A versão anterior de { $route } passa a servir, até o arquivo mudar.
web-ask-roll-back-to = A versão { $digest } de { $route } passa a servir, até o arquivo mudar.
web-verify-1 = Verificação 1: quantos registros, nenhum repetido
web-verify-2 = Verificação 2: os registros mais novos
web-no-records-yet = Nenhum registro deste cliente ainda.
web-rows = Registros
web-doubles = Repetidos
web-first-collected = Primeira coleta
web-last-collected = Última coleta
web-payload = Payload
web-by-day = Registros coletados por rota e dia (30 dias)
web-by-day-none = Nada foi coletado nos últimos 30 dias.
web-browse-records = Procurar registros
web-records-title = Registros
web-record = Registro { $id }
web-record-unknown = não há registro { $id }
    .fix = Procure em Dados › Registros.
web-show = Mostrar
web-search = Procurar
web-json-path-field = Caminho JSON
web-value = Valor
web-json-path = “{ $path }” não é um caminho JSON (RFC 9535)
    .fix = Um caminho começa com $: por exemplo $.cliente.nome ou $.itens[0].codigo.
web-searched = { $n ->
    [one] { $count } registro examinado.
   *[other] { $count } registros examinados.
}
web-password-lacks = Ainda não há senha: sem ela, a próxima entrada precisa de um link criado na linha de comando do servidor.
web-password-set-one = Definir uma senha
error-path-prefix = “{ $value }” não é um caminho que um servidor possa ter à frente dos seus
    .fix = Informe um caminho como /atlas: letras, dígitos, -, _, . e ~ entre barras.
web-times-in = Horários em { $zone }
web-by-day-others = { $count ->
    [one] Mais uma rota tem menos registros: escolha-a para ver.
   *[other] Outras { $count } rotas têm menos registros: escolha uma para ver.
}
web-searched-back-to = Até o que foi coletado em
web-searched-all = Não há mais nenhum.
web-search-on = Continuar a busca
web-search-stop = Parar
web-searching = continuando a busca…
web-query-unknown = este endereço não aceita o parâmetro “{ $name }”
    .fix = Ele aceita: { $known }.
web-query-none = este endereço não aceita parâmetros, e “{ $name }” é um
    .fix = Tire tudo o que vem depois do ponto de interrogação.
web-query-twice = “{ $name }” está repetido
    .fix = Informe uma vez só: um único valor pode valer.
web-export = Exportar:
web-payload-cut = Mostrado até { $shown } de { $size }; baixe para ver inteiro.
web-whole-payload = Baixar inteiro
web-format-unknown = não há formato “{ $format }”
    .fix = Use jsonl ou csv.
web-state-unknown = não há estado “{ $state }”
    .fix = Os estados estão em /api/v1/docs.
web-schedules-hint = Scraps que se criam sozinhos, na hora marcada.
web-new-schedule = Nova agenda
web-no-schedules = Nenhuma agenda ainda: crie uma para buscar os dados sozinho, por exemplo a cada seis horas.
web-cron = Quando (cron)
web-cron-hint = minuto hora dia mês dia-da-semana; 0 */6 * * * é a cada seis horas
web-timezone = Fuso
web-timezone-hint = Em que fuso se lê a hora
web-window = Janela
web-window-hint = Dias que cada scrap pede, hoje incluído: 2d, 1w
web-overlap = Criar mesmo que o anterior não tenha terminado
web-next-time = Próxima
web-last-scrap = Último scrap
web-days = { $count ->
        [1] { $count } dia
       *[other] { $count } dias
    }
web-run-now = Executar agora
web-remove-schedule = Remover a agenda { $id }
web-ask-remove-schedule = A agenda { $id } não cria mais scraps. Os que criou ficam.
web-doctor = Diagnóstico
web-queue = Fila
web-queue-none = Nenhum scrap ainda.
web-divided = em fatias
web-database = Banco de dados
web-where = Onde
web-disk-free = Livre no disco
web-hosts = Processos que executam scraps
web-host = Processo
web-since = Desde
web-seen = Visto por último
web-running-scraps = Executando
web-version-of = Atlas { $version }
web-password-set = Há uma senha. Uma nova encerra todas as sessões, esta também.
web-password-none = Ainda não há senha: entra-se por um link, que se pede na máquina do servidor:
web-new-password = Nova senha
web-new-password-hint = 12 caracteres ou mais
web-tokens = Tokens de programas
web-tokens-hint = Para a API (Authorization: Bearer).
web-api-docs = Ver a API
web-name = Nome
web-scope = Alcance
web-scope-read = só leitura
web-scope-full = total
web-never = nunca
web-new-token = Criar token
web-token-once = Token criado. Guarde-o agora: não é mostrado de novo.
web-copy = Copiar
web-copied = Copiado
web-revoke = Revogar
web-revoke-token = Revogar o token
web-ask-revoke = O programa que usa o token “{ $name }” deixa de entrar, imediatamente.
web-api-hint = Tudo o que a página faz, para programas. Aqui se usa a sua sessão; programas enviam um token.
web-body = Corpo (JSON)
web-send = Enviar
web-settings = Configurações
settings-set = ✅ Configurações da API { $api } do cliente { $client } gravadas; valem para scraps criados a partir de agora.
error-settings = as configurações da API { $api } do cliente { $client } não servem à rota { $route }: { $reason }
    .fix = Corrija-as na página do cliente ou com `atlas client settings set { $client } --api { $api } --json -`.
    .page = Corrija-as na página do cliente, na API { $api }.
error-scrap-settings = o scrap { $id } foi criado com configurações que não servem à rota { $route }: { $reason }
    .fix = Corrija as configurações do cliente e crie um novo scrap.
error-settings-broken = O que o cliente { $client } configurou da API { $api } não pode ser lido: não é um objeto JSON
    .fix = Configure de novo: atlas client settings set { $client } --api { $api } --json ARQUIVO.
    .page = Configure de novo na página do cliente.
error-settings-long = as configurações da API { $api } passam de { $max } bytes
    .fix = Configurações são poucas e curtas.
error-settings-json = { $file ->
        [stdin] Entrada padrão
       *[other] { $file }
    }, linha { $line }: não é um objeto JSON ({ $reason })
    .fix = Escreva um objeto, por exemplo um de um membro: "loja": 3, entre chaves.
web-line-connector = Conector: { $line }
web-adds-up-but = confere, com as ressalvas acima
web-parts-stay = Deixe os campos vazios, e fica o que está guardado.
error-credential-elsewhere = a credencial guardada do cliente { $client } foi dada para { $url }, e não vai a outro lugar
    .fix = Digite a credencial de novo junto com o novo endereço; ou mude o endereço na máquina do servidor, com `atlas client set { $client } --base-url URL`.
web-signature = Assinatura
web-signature-good = válida, e exigida desta rota
web-signature-unchecked = há uma; nenhuma chave é exigida desta rota (pins em atlas.toml)
web-signature-none = nenhuma
web-as-table = Ver como tabela
web-counting = Ainda contando o que o cliente { $client } tem: nesta tabela, leva mais que alguns segundos
    .fix = Volte daqui a pouco: a conta continua, e a resposta fica pronta por um minuto.
web-reload = Recarregar
web-see-records = Ver registros
web-duplicate-hint = { $count } já estavam na tabela, com o mesmo conteúdo: nada se perdeu nem dobrou.
web-again-hint = { $count } já tinham sido gravados por uma tentativa anterior da mesma página.
web-attempts-failed = tentativas falhas
web-store-gone = banco sem resposta
web-token-works = ✓ O token funciona: a API entregou uma página. Nada foi gravado
web-tried-examples = Ver os primeiros registros
web-token-retype-hint = Digite-o de novo: um token não volta à página
web-removed = Removido.
web-undone = A sessão tinha terminado, e nada foi feito. Confira o que está abaixo e envie de novo.
web-password-again = A mesma senha, de novo
web-password-ends-all = Ao salvar, todas as sessões terminam, esta também: entre de novo com a senha nova.
web-password-saved = Senha salva. Entre com ela.
web-last-use = Último uso
web-schedule-active = ativa
web-cron-hourly = a cada hora
web-cron-six-hours = a cada seis horas
web-cron-daily = todo dia às 3h
web-cron-workdays = de segunda a sexta às 3h
web-cron-monthly = no dia 1 de cada mês às 3h
web-fileless = sem arquivo: segue a versão guardada
web-collected-from = Coletado de
web-collected-to = Coletado até
web-exact-value = Valor exato
web-export-excel = CSV para Excel
web-browse-and-export = Procurar e exportar registros
web-password-differs = as duas senhas não são iguais
    .fix = Digite a mesma senha nos dois campos.
web-value-alone = Um valor precisa de um caminho JSON que diga onde procurá-lo
    .fix = Por exemplo, caminho $.numero ou só numero, e valor PED-000123.
web-private-url = { $url } é um endereço da rede interna, e ainda não foi liberado: nada é enviado para lá
    .fix = Peça a quem cuida do servidor que execute ali: atlas client set { $client } --allow-private.
error-database-silent = O banco não respondeu a tempo
    .fix = Quando ele voltar, recarregue a página; os scraps continuam sozinhos.
error-page-token = A API recusou o token do cliente { $client }: { $reason }
    .fix = Confira se o token foi copiado inteiro e ainda vale; digite-o de novo e teste outra vez.
error-page-passing = A API do cliente { $client } não deu a página agora: { $reason }
    .fix = O token não foi recusado. Se não houve conexão, confira a URL base e se o servidor está no ar; senão, tente mais tarde.
error-page-not-ready = A API do cliente { $client } responde, e ainda não tem nada pronto (espera de { $seconds } s): { $reason }
    .fix = Nada falhou: o token foi aceito. Teste de novo depois desse tempo; um scrap espera sozinho.
error-page-wait = A API do cliente { $client } pede para esperar { $seconds } s: { $reason }
    .fix = O token não foi recusado: espere, e teste de novo. Um scrap espera sozinho.
web-json-path-costly = “{ $path }” é um caminho complexo demais para esta busca
    .fix = Use no máximo um .., um filtro simples, como ?@.total > 10, e quatro vírgulas.
web-too-many-listeners = Já há ouvintes de eventos demais
    .fix = Encerre alguns dos ouvintes deste token ou desta sessão e tente de novo.
web-full = O servidor tem todas as conexões que aceita
    .fix = Feche conexões que não são necessárias; quem já entrou, a página de entrada e /healthz ainda são atendidos.
web-busy = Há consultas pesadas demais em andamento
    .fix = Espere alguns segundos e tente de novo.
web-verify-3 = Verificação 3: lidos = inseridos + duplicados + reencontrados + rejeitados
web-sums-of = Scraps deste cliente: { $count }
web-unfinished = { $count } não terminaram: podem faltar registros
web-host-silent = sem sinal
web-all-routes = Todas
doctor-late = O diagnóstico não terminou em { $seconds } s
    .fix = Um programa deve estar segurando o banco: veja qual, e recarregue.
web-detail = Detalhe técnico: { $text }
web-too-large-to-search = { $n ->
    [one] { $count } passa de { $max } e não foi examinado por dentro.
   *[other] { $count } passam de { $max } e não foram examinados por dentro.
}
web-export-skips = O arquivo não tem registros de mais de { $max }: uma busca por caminho não os examina por dentro.
web-counted-at = Contado em

# O que o sistema, uma biblioteca ou o próprio Atlas dizem de uma falha, onde uma mensagem a cita como motivo
detail-quoted = detalhe técnico: “{ $text }”
detail-no-tcp = não houve conexão TCP:
detail-no-tcp-yet = não houve conexão TCP
detail-not-sent = ao enviar a requisição:
detail-closed-early = a conexão foi fechada antes do fim da resposta
detail-database-talk = a conexão com o banco falhou:
detail-pool = nenhuma conexão com o banco ficou livre a tempo
detail-database-eof = o banco fechou a conexão
detail-database-silent = sem resposta em { $a } s
detail-dns-unknown = esse nome não existe
detail-dns-later = o servidor de nomes não responde agora
detail-dns-none = o nome não tem endereço
detail-os-1 = operação não permitida
detail-os-2 = não existe
detail-os-5 = o disco falhou (erro de entrada e saída)
detail-os-12 = não há mais memória
detail-os-13 = permissão negada
detail-os-17 = já existe
detail-os-20 = uma parte do caminho não é uma pasta
detail-os-21 = é uma pasta
detail-os-22 = o sistema não aceita isso
detail-os-24 = há arquivos abertos demais
detail-os-28 = não há espaço no disco
detail-os-30 = o sistema de arquivos só permite leitura
detail-os-32 = o outro lado foi fechado
detail-os-36 = o nome é longo demais
detail-os-98 = outro programa já usa esse endereço
detail-os-99 = esta máquina não tem esse endereço
detail-os-101 = essa rede está fora de alcance
detail-os-104 = o outro lado interrompeu a conexão
detail-os-110 = sem resposta a tempo
detail-os-111 = conexão recusada
detail-os-113 = não há rota até essa máquina
detail-cert-issuer = quem o assinou não é uma autoridade conhecida aqui
detail-cert-expired = está vencido (
detail-cert-expired-plain = está vencido
detail-cert-name = não é para { $a }, e sim para { $b }
detail-cert-name-plain = é para outro nome
detail-toml = TOML, linha { $a }, coluna { $b }
detail-json-short = o JSON está cortado (linha { $b }, coluna { $c })
detail-json-value = não é JSON (linha { $a }, coluna { $b })
detail-json-ident = não é JSON (linha { $a }, coluna { $b })
detail-json-key = o JSON pede uma chave entre aspas (linha { $a }, coluna { $b })
detail-json-more = há algo depois do JSON (linha { $a }, coluna { $b })
detail-json-comma = há uma vírgula a mais (linha { $a }, coluna { $b })
detail-json-brace = falta uma vírgula ou {"}"} (linha { $a }, coluna { $b })
detail-json-bracket = falta uma vírgula ou ] (linha { $a }, coluna { $b })
detail-json-colon = faltam dois-pontos (linha { $a }, coluna { $b })
detail-field-missing = falta o campo { $a }
detail-field-unknown-of = não há o campo { $a } (há: { $b })
detail-field-unknown = não há o campo { $a } (há: { $b })
detail-sqlite-open = o arquivo não pode ser aberto
detail-sqlite-none = o arquivo não é um banco SQLite
detail-sqlite-malformed = o arquivo está danificado
detail-sqlite-full = o disco está cheio
detail-sqlite-readonly = o arquivo só pode ser lido
detail-sqlite-locked = outro programa está com o arquivo
detail-sqlite-io = o disco falhou
detail-no-connection = sem conexão:
detail-no-connection-sdk = sem conexão:
detail-broke = a conexão caiu antes do fim da resposta:
detail-late = a resposta não chegou inteira a tempo:
detail-late-after = nenhuma em { $a } s
detail-nothing-came = nada chegou em { $a } s
detail-dribbles = chegou a menos de { $a } bytes por segundo enquanto outro cliente esperava
detail-unreadable = a resposta não pode ser lida:
detail-encoded = está codificada como { $a }
detail-too-large = a resposta tem mais de { $a } bytes (limite body_bytes)
detail-page-late = a página levou mais de { $a } ms (limite page_wall_ms)
detail-no-memory = não há mais memória para conectores
detail-left-alone = a origem pediu uma pausa
detail-told-wait = a resposta da origem pede uma espera
detail-day-spent = { $a ->
        [1] a única requisição do dia se esgotou
       *[other] as { $a } requisições do dia se esgotaram
    }
detail-budget-spent = o orçamento de requisições se esgotou:
detail-budget-empty = o orçamento de requisições está vazio
detail-token-again = a origem recusou o token de acesso; a página é pedida de novo com outro
detail-not-renewed = o token de acesso não pôde ser renovado:
detail-refused = a credencial foi recusada:
detail-no-token = a URL de token não respondeu com um token (RFC 6749, seção 5.1)
detail-token-url = a URL de token respondeu
detail-not-granted = a requisição não foi permitida:
detail-no-request = não é uma requisição:
detail-no-pointer = não é um ponteiro JSON:
detail-redirects = mais de { $a } redirecionamentos
detail-redirect-elsewhere = um redirecionamento para { $a }, outra origem que não a permitida
detail-file-unread = o arquivo não pôde ser lido:
detail-unreachable = o código chegou a uma instrução `unreachable` (um panic, em geral)
detail-reject-utf8 = não é UTF-8 no byte { $a }
detail-reject-nul = U+0000 no byte { $a }
detail-reject-surrogate = meio par substituto no byte { $a }
detail-reject-number = um número além do numeric do PostgreSQL no byte { $a }
detail-reject-key = a chave { $a } de novo no byte { $b }
detail-reject-bytes = bytes; limite record_bytes ({ $a }), que [limits] do atlas.toml aumenta
detail-reject-depth = limite record_depth ({ $a }), que [limits] do atlas.toml aumenta
detail-line = linha { $a }:
detail-toml-table = falta o ] de uma seção
detail-field-type = { $a } está onde se espera { $b }
detail-os-40 = o link leva a um círculo
detail-not-granted-short = não permitido:
detail-want-number = { $a } não é um número inteiro
detail-want-number-long = { $a } não é um número inteiro
detail-want-number-short = { $a } não é um número inteiro
detail-not-regular = não é um arquivo comum
detail-pg-database = não há o banco { $a }
detail-pg-role = não há o usuário { $a }
detail-pg-password = a senha do usuário { $a } é outra
detail-pg-table = falta direito à tabela { $a }
detail-pg-sequence = falta direito à sequência { $a }
detail-pg-schema = falta direito ao schema { $a }
detail-pg-create = falta direito de criar bancos
detail-pg-read-only = o servidor não aceita gravações agora ({ $a }, somente leitura)
detail-pg-standby = o servidor é somente leitura: talvez uma réplica
detail-place-gone = : não está mais lá
detail-place-short = : foi cortado
detail-place-file = : há outro arquivo no lugar
detail-place-over = : outra coisa foi gravada por cima
detail-place-database = : outro banco foi gravado por cima
detail-place-log = : os arquivos ao lado dele (-wal, -shm) sumiram ou são outros
