# What operators read, in English. The same messages are in pt-BR.ftl; a test holds the two against each other.

## Error line and operations

error-line = ⚠️ ERROR ({ $operation }): { $message }
asked-for-line = ⏸️ { $message } ({ $operation })
reservation-line = ⚠️ RESERVATION ({ $operation }): { $message }
op-usage = usage
op-configure = configure
op-connect = connect
op-init = create_tables
op-client = client
op-scrap = scrap
op-run = run_scrap
op-connector = connector
op-rejects = rejects
op-verify = verify
op-output = write_result

## Usage

usage-unknown-argument = There is no option { $argument }
    .fix = See the options with: atlas --help, or atlas COMMAND --help.
usage-unknown-argument-like = There is no option { $argument } (did you mean { $suggestion }?)
    .fix = See the options with: atlas --help, or atlas COMMAND --help.
usage-unknown-command = There is no command { $command }
    .fix = See the commands with: atlas --help.
usage-unknown-command-like = There is no command { $command } (did you mean { $suggestion }?)
    .fix = See the commands with: atlas --help.
usage-missing = Missing: { $argument }
    .fix = See what the command needs with: atlas COMMAND --help.
usage-conflict = { $argument } cannot be used with { $other }
    .fix = Give only one of them.
usage-no-value = { $argument } needs a value
    .fix = See what the command needs with: atlas COMMAND --help.
usage-value = “{ $value }” is not a value for { $argument }
    .fix = See what the option takes with: atlas COMMAND --help.
usage-other = The command was not understood: { $reason }
    .fix = See the commands with: atlas --help.

## Settings and database

error-setting-value = { $name }={ $value } is not an accepted value (expected: { $expected })
    .fix = Correct { $name } on the command line, in the environment, in .env or in atlas.toml.
error-half-a-database = The database settings are incomplete: { $missing } missing
    .fix = Set DB_HOST, DB_NAME, DB_USER and DB_PASSWORD (DB_PORT is optional), or DATABASE_URL, or none of them for the embedded database.
error-database-url = The database address is not valid
    .fix = Use postgres://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:FILE.
error-text-unreadable = { $file ->
        [stdin] Standard input
       *[other] { $file }
    } could not be read: { $reason }
    .fix = Check that the file is there and that this user may read it.
error-text-utf16 = { $file ->
        [stdin] Standard input
       *[other] { $file }
    } is UTF-16 text, not UTF-8
    .fix = Save it as UTF-8: in Notepad with Save as, Encoding; in PowerShell with Out-File -Encoding utf8.
error-text-not-utf8 = { $file ->
        [stdin] Standard input
       *[other] { $file }
    }, line { $line }: not UTF-8 text
    .fix = Save it as UTF-8 text; another encoding, or a file of another kind, is not read.
error-env-line = { $file }, line { $line }: not NAME=value
    .fix = Write one setting on each line, such as DB_HOST=localhost; a comment begins with #.
error-env-quote = { $file }, line { $line }: a quote is opened and not closed
    .fix = Close the quote; a value that holds one is written between quotes of the other kind.
error-env-variable = The environment variable { $name } is not UTF-8 text
    .fix = Set { $name } again, or take it away to use the default.
error-elsewhere = This folder has neither .env nor atlas.db, but { $file } is there
    .fix = Give the command in that folder; or say which database is meant with --db, for example --db sqlite:atlas.db for a new one here.
error-no-database = There is no database at { $file }
    .fix = Give the command in the folder of the installation, or name its database with --db. A new one is made by: atlas db init.
    .page = On the server's machine, run: atlas db init.
error-settings-file = { $file } could not be read: { $reason }
    .fix = Correct the file, or take it away to use the defaults.
error-database-unreachable = Could not connect to the database { $location }: { $reason }
    .fix = Check that the server is up and that address, user, password and database name are right (atlas doctor).
    .page = Check that the database server is up; its address is in the settings of the machine that runs Atlas.
error-database-file = Could not open the embedded database { $location }: { $reason }
    .fix = Check that the folder is there and may be written to, and that the file is an SQLite database.
error-database-unavailable = The database stopped answering: { $reason }
    .fix = When it is back, give the command again (atlas doctor).
    .page = When the database is back, load the page again; scraps go on by themselves.
error-database-displaced = The database's file was deleted or replaced while Atlas had it open ({ $reason })
    .fix = Stop every Atlas that uses it, put the right file back (from a backup, with its -wal if it has one), and resume the scraps: atlas scrap resume ID
    .page = Stop Atlas on the server's machine, put the right file back (from a backup, with its -wal if it has one), start it, and resume the scraps.
error-database-slow = The database took longer than { $seconds } s for one question, which was ended
    .fix = Ask for less (one client, one route, fewer days), or see what keeps the database busy (atlas doctor).
    .page = Ask for less (one client, one route, fewer days), or see what keeps the database busy.
error-database-schema = The tables are not as they should be: { $reason }
    .fix = Run: atlas db init. Without the right to create tables, ask your DBA to run migrations/dba.sql.
    .page = On the server's machine, run: atlas db init. Without the right to create tables, ask the DBA to run migrations/dba.sql.
error-database-right = The database refuses this user something that Atlas needs: { $reason }
    .fix = See which right is missing, and the GRANT that gives it, with: atlas doctor.
    .page = See in Health which right is missing, and the GRANT that gives it.
error-database = Database error: { $reason }
    .fix = See the details in erros_scraps.log and run: atlas doctor.
    .page = See in Health what is wrong; the details are in erros_scraps.log on the server's machine.
error-output = The result could not be written to standard output: { $reason }
    .fix = Check that there is room on the disk, and give the command again; what stands in the file is incomplete.
error-engine = The connector engine did not start: { $reason }
    .fix = Check that there is memory, and that the system does not limit the address space (ulimit -v).
error-no-files = No file descriptor is left: what Atlas needs could not be opened
    .fix = Raise the limit of open files (ulimit -n; LimitNOFILE= for a service), or let this host run fewer scraps (--scraps).
error-http = The HTTP client did not start: { $reason }
    .fix = Check the system's root certificates (package ca-certificates).

## Clients

error-client-id = The client's number must be greater than zero ({ $client })
    .fix = Give the client's number, for example 2151.
error-client-unknown = Client { $client } not found
    .fix = See the clients with: atlas client list. Register it with: atlas client add { $client } --token - --base-url URL.
    .page = Check the number in Clients & Tokens, or register this client.
error-client-exists = Client { $client } is registered already
    .fix = To change its token or address: atlas client set { $client } --token - --base-url URL.
    .page = To change the token or the address, open its page.
error-client-in-use = Client { $client } has data or scraps and cannot be removed
    .fix = To fetch nothing more for it: atlas client set { $client } --inactive.
    .page = To have nothing more fetched, deactivate it.
error-client-inactive = Client { $client } is inactive
    .fix = To activate it: atlas client set { $client } --active.
    .page = To fetch again, activate it on its page.
error-no-token = Token not found for client { $client }
    .fix = Register the client with: atlas client add { $client } --token - --base-url URL.
    .page = Register it in Clients & Tokens with the token that its API gave.
error-no-credential = Token not found for client { $client } at the API { $api }
    .fix = Register it with: atlas client set { $client } --token - ; if the API has an address of its own: atlas client set { $client } --api { $api } --token -.
    .page = Type the token on the client's page.
error-no-base-url = Client { $client } has no address for the API { $api }
    .fix = Register it with: atlas client set { $client } --base-url URL.
    .page = Type the API's base URL on the client's page.
error-api-not-served = Client { $client } has no address for the API { $api }
    .fix = If its default token and address are for this API: atlas client bind { $client } --api { $api }; else register it with: atlas client add { $client } --api { $api } --token - --base-url URL.
    .page = Open the client's page: let its default serve the API { $api }, or register an address for the API.
error-base-url = The address { $url } of client { $client } is not a valid http or https URL
    .fix = Use something like https://erp.example.com/sis/api/v1, without user, password or parameters.
error-api-unknown = Client { $client } has no API { $api } of its own
    .fix = See its APIs with: atlas client list.
    .page = Its APIs are on the client's page.
error-api-name = “{ $api }” cannot be the name of an API
    .fix = Use letters, digits, hyphens and underscores.
error-api-needs-base-url = The API { $api } has no address yet
    .fix = Give --base-url URL too.
    .page = Give the base URL, too.
error-token-empty = The token is empty
    .fix = Pass the token through a pipe: printf %s TOKEN | atlas client add … --token -.
    .page = Paste the token that the API gave.
error-token-in-arguments = A token does not belong in the command line: lists of processes and the shell's history show it
    .fix = Pass it through a pipe: printf %s TOKEN | atlas client add … --token -. What stood there may have been seen: have the API replace it.
error-token-characters = The token of client { $client } has characters that an HTTP header cannot carry
    .fix = Register it again, without spaces or line breaks: atlas client set { $client } --token -.
    .page = Type it again on the client's page, without spaces or line breaks.
error-nothing-to-set = Nothing to change
    .fix = Give --token, --base-url, --allow-private, --active or --inactive.
    .page = Type what is to change: the token, the base URL, or both.
error-credential-parts = The credential of client { $client } at the API { $api } lacks: { $parts }
    .fix = Register it with: atlas client credential set { $client } --api { $api } --parts - (a JSON object, or lines NAME=value, on standard input).
    .page = Fill in what is missing on the client's page, at the API { $api }.
error-credential-input = Credentials are not taken from the command line
    .fix = Give --parts FILE, --parts - or --token - (standard input).
error-part-of-token-url = The connector of API { $api } wants the part { $part } of client { $client }'s credential in its own requests, and that is meant for the token address alone
    .fix = Do not run this connector before its author has said why; one that needs access tokens declares OAuth 2.
error-token-url = The token address { $url } of client { $client } is not a valid http or https URL
    .fix = Correct token_url and register the credential again with: atlas client credential set { $client } --api API --parts -.
    .page = Correct the token URL on the client's page.
in-file = { $file ->
        [none] Credential:{" "}
        [stdin] Standard input:{" "}
       *[other] { $file }:{" "}
    }
error-parts-json = { in-file }not a JSON object whose values are texts (line { $line })
    .fix = Use something like {"{"}"client_id": "…", "client_secret": "…"{"}"}, or lines NAME=value.
error-parts-line = { in-file }line { $line } is not NAME=value
    .fix = Write one part on each line, such as client_id=VALUE, or give a JSON object.
error-parts-name = { in-file }the name of a part is not valid
    .fix = Use lower-case letters, digits, hyphens and underscores, such as client_secret.
error-parts-value = { in-file }the part { $name } is empty or too long
    .fix = Give a value of 1 to 16384 bytes.
error-parts-count = { in-file }there is no part, or too many
    .fix = Give 1 to 16 parts, one on each line, such as token=VALUE.
error-key = { $name } is not a key of 32 bytes in Base64 or hexadecimal
    .fix = Make one with: openssl rand -base64 32. Keep it outside the database.
error-key-missing = The credentials are sealed, and ATLAS_KEY is not set
    .fix = Set ATLAS_KEY, or ATLAS_KEY_FILE, to the key that they were sealed with.
error-key-wrong = The key does not open what is sealed ({ $what })
    .fix = Set ATLAS_KEY, or ATLAS_KEY_FILE, to the key that it was sealed with; without that key, register the credential again.
error-new-key-missing = There is no new key
    .fix = Set ATLAS_NEW_KEY, or ATLAS_NEW_KEY_FILE (openssl rand -base64 32 makes a key), and give the command again.
client-added = ✅ Client { $client } registered
default-bound = 🔗 The default token and address of client { $client } ({ $url }) serve the API { $api } from now on, and no other
default-serves = ✅ The default token and address of client { $client } serve the API { $api }
default-asked = Which API { $count ->
        [one] the route { $routes } of client { $client } belongs to is not known: its connector is not here
       *[other] the routes { $routes } of client { $client } belong to is not known: their connectors are not here
    }
    .fix = If the client's default token and address are for that API: atlas client bind { $client } --api NAME.
    .page = If the client's default token and address are for that API, let them serve it on the client's page.
client-changed = ✅ Client { $client } changed
client-removed = ✅ Client { $client } removed
credential-set = ✅ Credential of client { $client } at the API { $api } registered: { $parts }
credential-removed = ✅ Credential of client { $client } at the API { $api } removed
client-rekeyed = 🔑 { $count ->
        [1] 1 value
       *[other] { $count } values
    } sealed with the new key. From now on it is the one that goes into ATLAS_KEY.

## Scraps

error-scrap-unknown = Scrap { $id } does not exist
    .fix = See the scraps with: atlas scrap list.
    .page = Look for it in the list of scraps.
error-scrap-ended = Scrap { $id } has ended already (done)
    .fix = There is nothing to cancel. See it with: atlas scrap show { $id }.
    .page = There is nothing to cancel.
error-scrap-ended-with-reservations = Scrap { $id } has ended already (done with reservations)
    .fix = There is nothing to cancel. See it with: atlas scrap show { $id }.
    .page = There is nothing to cancel.
error-scrap-not-to-pause = Scrap { $id } is neither in the queue nor running (state: { $state })
    .fix = There is nothing to pause. Look with: atlas scrap show { $id }.
    .page = There is nothing to pause.
error-scrap-not-to-queue = Scrap { $id } cannot go back into the queue (state: { $state })
    .fix = One that runs goes on by itself; one that is done has nothing left to fetch. Look with: atlas scrap show { $id }.
    .page = A scrap that runs goes on by itself; one that is done has nothing left to fetch. To fetch the period again, create the same again.
error-cursor-format = Scrap { $id } began with another version of the connector (cursor format { $began }; now { $now })
    .fix = Bring the earlier version of the connector back, or create a new scrap for the same period.
error-page-size = Page size { $value } is out of range (1 to { $max })
    .fix = Correct --page-size.
    .page = Correct Records a page.
error-date = “{ $value }” is not a valid date
    .fix = Use YYYY-MM-DD, for example 2025-10-20.
error-period-turned = The period is turned round: { $from } is after { $to }
    .fix = Swap the dates: --from is the first day, --to the last.
    .page = Swap the dates: From is the first day, To the last.
error-period-missing = The route { $route } needs a period
    .fix = Give --from YYYY-MM-DD and --to YYYY-MM-DD.
    .page = Give From and To.
error-period-not-taken = The route { $route } takes no period
    .fix = Leave out --from, --to and --window.
    .page = Leave From and To empty.
error-state-unknown = There is no state “{ $state }”
    .fix = Use one of these: { $states }.
    .page = Use one of these: { $states }.
scrap-created = ✅ Scrap { $id } created. To run it: atlas scrap run { $id }
scrap-queued = ⏳ Scrap { $id } is in the queue: a worker takes it next.
scrap-paused = ⏸️ Scrap { $id } is paused. To go on: atlas scrap resume { $id }.
scrap-pausing = ⏸️ Whoever runs scrap { $id } pauses it within about a second; what was read is written.
worker-starting = 👷 Worker ready: up to { $scraps ->
        [1] 1 scrap at a time
       *[other] { $scraps } scraps at once
    }, from the queue at { $location }. Ctrl-C hands back what is under way.
worker-ended = 👷 Worker ended; what it left undone is anybody's now.
scrap-cancelled = ✅ Scrap { $id } cancelled. Whoever runs it stops within about a second.

## Runs

run-starting = 🚀 Starting ETL of client { $client } - Route: { $route }
run-period = 📅 Period: { $from } to { $to }
run-settings = ⚙️ Settings: Retry={ $retries }, Processing={ $batch } at a time
run-database = 🗄️ Database: { $location } - Scrap: { $id }
run-table = 📊 Target table: dados_raw
run-table-exists = ✅ Table dados_raw is there already!
run-table-created = ✅ Table dados_raw created!
run-resumed = ↩️ Going on: { $pages ->
        [1] 1 page
       *[other] { $pages } pages
    } written already, { $read ->
        [1] 1 record read
       *[other] { $read } records read
    }
run-page = 📄 Page { $number } | ⏱️ { $seconds } | 📊 { $records ->
        [1] 1 record
       *[other] { $records } records
    } | 🚀 { $rate } rec/s
run-queued = 📤 Item queued: { $hash }...
run-inserted = ✅ Record inserted: { $rows }
run-progress = 📄 { $pages } of { $known ->
        [1] 1 page
       *[other] { $known } pages
    } | 📊 { $records ->
        [1] 1 record
       *[other] { $records } records
    } | 🚀 { $rate } rec/s | ⏳ { $left } left
run-attempt = ⚠️ Attempt { $attempt }/{ $of } failed, waiting { $wait }s...
run-not-ready = ⏳ Not ready yet (try { $tried } of { $of }), asking again in { $wait }s...
run-attempt-reason = {"   "}reason: { $reason }
run-rejected = ⚠️ Record rejected: { $text } ({ $reason })
rejected-too_large = larger than a record may be
rejected-not_utf8 = not UTF-8 text
rejected-not_json = not valid JSON
rejected-too_deep = nested too deep
rejected-nul_character = holds the character U+0000, which PostgreSQL cannot store
rejected-lone_surrogate = holds half of a Unicode character
rejected-number_out_of_range = holds a number beyond what the table can store
rejected-duplicate_key = has the same key twice
rejected-database = refused by the database
rejected-not_kept = dropped by the database without an error
run-second-look = 🔎 Checking whether the source changed while it was read...
run-sweep-again = 🔁 The source changed while it was read: sweep { $sweep }
run-throttled = ⏳ Waiting for the API's budget ({ $reason }): { $wait }s, until { $until }
run-store-waiting = ⚠️ The database did not answer ({ $reason }), waiting { $wait }s...
run-draining = ⏸️ Stopping: writing what was read. Ctrl-C again to leave at once.
run-summary = 🏁 Scrap { $id } { $state } in { $seconds }s: { $pages ->
        [1] 1 page
       *[other] { $pages } pages
    } | read { $read } = { $inserted } inserted + { $duplicate } duplicate + { $again } found again + { $rejected } rejected
run-declared = 🧾 Total declared by the source: { $total }
state-pendente = pending
state-executando = running
state-concluido = done
state-concluido_com_ressalva = done with reservations
state-interrompido = interrupted
state-pausado = paused
state-token_recusado = stopped: token refused
state-suspenso = suspended: quota spent
state-cancelado = cancelled
state-falhou = failed
end-stopped = Interrupted by the operator
    .fix = What was read is written. To go on: atlas scrap resume { $id }.
    .page = What was read is written. To go on, use Resume.
end-paused = Paused by the operator
    .fix = What was read is written. To go on: atlas scrap resume { $id }.
    .page = What was read is written. To go on, use Resume.
end-cancelled = Cancelled by the operator
    .fix = To go on all the same: atlas scrap resume { $id }.
    .page = What was read is written. To go on all the same, use Resume.
end-hosts-died = { $times } runs in a row failed, or ended their process without a word, and no page was done meanwhile
    .fix = Look into the system's log for what ended them (memory?); then: atlas scrap retry, with the scrap's id.
    .page = Look into the machine's log for what ended them (memory?); then use Resume.
end-attempts = A page failed { $attempts ->
        [1] once
       *[other] { $attempts } times
    }: { $reason }
    .fix = When the source is back, go on with: atlas scrap resume { $id }. Nothing that was written is lost.
    .page = When the source is back, use Resume. Nothing that was written is lost.
end-not-ready = What the source was asked for was not ready { $tries ->
        [1] when it was asked once
       *[other] although it was asked { $tries } times
    }: { $reason }
    .fix = Nothing failed. When it is ready, go on with: atlas scrap resume { $id }. If that takes the source longer as a rule, ask more often: --retries, or RETRY_MAX.
    .page = Nothing failed. When it is ready, use Resume. If that takes the source longer as a rule, have RETRY_MAX raised.
end-wait-too-long = The source asked to wait { $seconds }s: { $reason }
    .fix = Go on after that time with: atlas scrap resume { $id }.
    .page = After that time, use Resume.
end-unauthorized = The source refused the token of client { $client }: { $reason }
    .fix = Change the token with: atlas client set { $client } --token - (with --api NAME where the API has a token of its own: atlas client list), or its parts with: atlas client credential set { $client } --api NAME ; then go on with: atlas scrap resume { $id }.
    .page = Change the token on the client's page, and test it there; then use Resume.
end-quota = The source's quota is spent: { $reason }
    .fix = Go on when the quota is there again, with: atlas scrap resume { $id }.
    .page = When the quota is there again, use Resume.
end-quota-until = The source's quota is spent, until { $until }: { $reason }
    .fix = Go on after that with: atlas scrap resume { $id }.
    .page = After that, use Resume.
end-source = The source did not answer as it should: { $reason }
    .fix = In brackets is what it answered. If that says what is missing, see to it; if it is another API's answer, correct the client's address (atlas client list); if it is as the API writes it, tell the connector's author. Then go on with: atlas scrap resume { $id }.
    .page = In brackets is what it answered. If that says what is missing, see to it; if it is another API's answer, correct the base URL on the client's page; if it is as the API writes it, tell the connector's author. Then use Resume.
end-not-granted = The connector asked for something that was not granted to it: { $reason }
    .fix = If you trust it with that, write a [[grant]] into atlas.toml (see atlas_example.toml); what it does not declare, only its author can add. Then go on with: atlas scrap resume { $id }.
    .page = If you trust it with that, the server's machine needs a [[grant]] in atlas.toml (see atlas_example.toml); what it does not declare, only its author can add. Then use Resume.
end-header = The connector sets { $number ->
        [one] a header that was not granted
       *[other] headers that were not granted
    } for the API { $api }: { $headers }
    .fix =
        If the API asks for that, write these lines into atlas.toml, and go on with: atlas scrap resume { $id }
        {"[[grant]]"}
        api = "{ $api }"
        headers = {"["}{ $headers }{"]"}
    .page =
        If the API asks for that, atlas.toml on the server's machine needs these lines. Then use Resume.
        {"[[grant]]"}
        api = "{ $api }"
        headers = {"["}{ $headers }{"]"}
end-address = The API is at { $place }, which is not a public address ({ $class ->
        [private] private
        [loopback] this machine itself
        [shared] shared by a provider
       *[reserved] reserved
    }), and that was not granted
    .fix = If it is really there: atlas client set { $client } --allow-private (with --api NAME for one API of several), or private = true in a [[grant]] of atlas.toml; then go on with: atlas scrap resume { $id }.
    .page = If it is really there, whoever runs the server grants it on its machine: atlas client set { $client } --allow-private. The page cannot grant that. Then use Resume.
end-address-never = No API is at { $place } ({ $class ->
        [link-local] the local link
        [metadata] a cloud's metadata
        [multicast] a group
        [broadcast] everybody on the network
       *[unspecified] unspecified
    }), so nothing was sent there
    .fix = No grant covers such an address under a name. Check the name, and whoever answers for it; then go on with: atlas scrap resume { $id }.
    .page = No grant covers such an address under a name. Check the name, and whoever answers for it; then use Resume.
end-loop = The source goes in circles: the page that follows is one that was read before (cursor { $cursor })
    .fix = Tell whoever keeps the API or the connector; then go on with: atlas scrap resume { $id }.
    .page = Tell whoever keeps the API or the connector; then use Resume.
end-repeating = The source repeats the same page: { $pages } in a row with the same records (cursor { $cursor })
    .fix = Tell whoever keeps the API; then go on with: atlas scrap resume { $id }.
    .page = Tell whoever keeps the API; then use Resume.
end-empty-pages = { $pages } pages in a row have no record, and each names the next (limit empty_pages)
    .fix = Tell whoever keeps the API or the connector: an empty text may stand where no next page is meant. If such gaps are right, raise empty_pages under [limits] in atlas.toml; then go on with: atlas scrap resume { $id }.
    .page = Tell whoever keeps the API or the connector. If such gaps are right, have empty_pages raised under [limits] in atlas.toml; then use Resume.
end-ended-process = The connector of route { $route } (version { $version }, { $digest }) ended the process that ran it ({ $signal }), and is held
    .fix = Put another version in the connector's file: the scrap goes on by itself. Details: atlas connector list.
    .page = Put another version in the connector's file: the scrap goes on by itself.
end-beside-ended-process = The process that ran it was ended by the connector of route { $route } (version { $version }, { $digest }, { $signal }); this scrap goes on by itself, and nothing is lost
    .fix = Nothing has to be done; the connector that ended the process is held. Details: atlas connector list.
    .page = Nothing has to be done; the connector that ended the process is held.
end-untrusted = The source's certificate is not trusted: { $reason }
    .fix = Waiting does not mend it. If an authority of your own signs it, name the authority's file with SSL_CERT_FILE; if it has expired or is for another name, whoever keeps the server has to renew it. Then go on with: atlas scrap resume { $id }.
    .page = Waiting does not mend it. If an authority of your own signs it, name the authority's file with SSL_CERT_FILE on the server's machine; if it has expired or is for another name, whoever keeps that server has to renew it. Then use Resume.
end-mistake = The connector made a mistake: { $reason }
    .fix = The source is not at fault. Tell the connector's author; once it is mended, go on with: atlas scrap resume { $id }.
    .page = The source is not at fault. Tell the connector's author; with the mended one in the folder, use Resume.
end-crashed = The connector crashed: { $reason }
    .fix = Tell the connector's author. Once it is mended, go on with: atlas scrap resume { $id }.
    .page = Tell the connector's author. With the mended one in the folder, use Resume.
end-limit = The limit { $name } was reached ({ $value })
    .fix = If that is legitimate, raise { $name } in atlas.toml: in [connector.ROUTE.limits] or [client.ID.limits] if it stands there, which goes first, else in [limits]. Then go on with: atlas scrap resume { $id }.
    .page = If that is legitimate, raise { $name } in atlas.toml on the server's machine (in [limits], [connector.ROUTE.limits] or [client.ID.limits]). Then use Resume.
end-client-rejects = Client { $client } has more rejected records than are kept for one client (limit { $name }: { $value })
    .fix = See what was rejected (atlas rejects list). Once it is mended, export and delete the rows of dados_rejeitados, or raise { $name } in atlas.toml, in [client.{ $client }.limits]. Then go on with: atlas scrap resume { $id }.
    .page = See what was rejected under Rejected. Once it is mended, have the rows exported and deleted on the server's machine, or { $name } raised in its atlas.toml, in [client.{ $client }.limits]. Then use Resume.
end-client-cursors = Client { $client } has more cursors than are kept for one client (limit { $name }: { $value })
    .fix = Ask the connector's author why there are so many. If that is legitimate, delete old scraps of the client, or raise { $name } in atlas.toml, in [client.{ $client }.limits]. Then go on with: atlas scrap resume { $id }.
    .page = Ask the connector's author why there are so many. If that is legitimate, have { $name } raised in atlas.toml on the server's machine, in [client.{ $client }.limits]. Then use Resume.
end-client-records = Client { $client } has more in dados_raw than atlas.toml allows it (limit { $name }: { $value })
    .fix = Move or delete rows of the client, or raise { $name } in atlas.toml, in [client.{ $client }.limits] or [limits]. Then go on with: atlas scrap resume { $id }.
    .page = Have rows of the client moved or deleted, or { $name } raised in atlas.toml on the server's machine. Then use Resume.
end-database-unavailable = The database stopped answering: { $reason }
    .fix = When it is back, go on with: atlas scrap resume { $id }. Nothing that was written is lost.
    .page = When it is back, use Resume. Nothing that was written is lost.
end-lease-lost = The scrap was cancelled, or taken over by another process
    .fix = See how it stands with: atlas scrap list.
    .page = The state above says how it stands.
reservation-rejected = { $records ->
        [1] 1 record was rejected
       *[other] { $records } records were rejected
    }
    .fix = See which and why with: atlas rejects list --scrap { $id }.
    .page = The rejected records show which and why, and can be replayed.
reservation-moving = The source kept changing while it was read{ $total ->
        [yes] {" "}(the total that it declares: { $before }, then { $after })
       *[other] {""}
    }{ $keys ->
        [yes] {" "}(its first page has other records)
       *[other] {""}
    }{ $cursors ->
        [yes] {" "}(its first page leads to other pages)
       *[other] {""}
    }{ $acks ->
        [yes] {" "}(its first page has another acknowledgment)
       *[other] {""}
    }
    .fix = Run the same period again when the source stands still, or with more sweeps: --sweeps 3.
    .page = Create the same again when the source stands still.
reservation-total = The source declares { $declared ->
        [1] 1 record
       *[other] { $declared } records
    } but gave { $read }
    .fix = Check with whoever keeps the API; all that it gave is written.
reservation-same-pages = { $pages } pages carried the very same records
    .fix = The source may ignore the page number: check with whoever keeps the API.

reservation-repeated = { $repeated } of the { $read } records of this reading came more than once, and the source declares { $declared }: records may be missing
    .fix = The source's order may differ from page to page. Run the same period again, with a larger --page-size or --concurrency 1, and check with whoever keeps the API.
    .page = The source's order may differ from page to page. Create the same again with more records per page, and check with whoever keeps the API.

## Connectors

error-connectors-folder = The connectors' folder { $folder } could not be read: { $reason }
    .fix = Build the connectors with: cargo xtask connectors, or name the folder with --connectors.
    .page = Check that the folder is there on the server's machine, and that Atlas may read it.
published-not-taken = The published connector of the route { $route } could not be put into { $folder }: { $reason }
    .fix = See to it that this user may write to the folder; the worker tries again by itself. If the bytes are at fault, publish again.
error-route-unknown = No connector serves the route { $route } in { $folder } (routes: { $routes })
    .fix = Check the route's name with: atlas connector list, or name another folder with --connectors.
    .page = Connectors shows the routes that there are, and what became of others.
load-unreadable = { $file } could not be read: { $reason }
    .fix = Check that the file is there and may be read.
load-too-large = { $file } has { $bytes } bytes; the most is { $limit }
    .fix = Make the component smaller, or raise component_bytes in the section [limits] of atlas.toml.
load-link = { $file } is a symbolic link to { $target }, outside the folder of connectors
    .fix = Put the file itself into the folder; links are followed only within it.
load-parts = { $file } has { $found } { $part }; the most is { $limit }
    .fix = No connector needs so many: tell its author, and do not take it from whoever made it so.
load-too-much-memory = { $file } begins with { $bytes } bytes of memory, more than the limit guest_memory ({ $limit })
    .fix = Tell the connector's author; if it is legitimate, raise guest_memory in the section [limits] of atlas.toml.
load-pin = { $file } is not the file that route { $route } is pinned to: its SHA-256 is { $found }, atlas.toml says { $pinned }
    .fix = Bring the pinned file back; or, if you trust this one, set sha256 in the section [connector.{ $route }] of atlas.toml to { $found }.
load-unsigned = { $file } is not signed: there is no { $signature }
    .fix = Put the signature beside the file; whoever holds the key makes it with: atlas connector sign { $file } --key KEY.
load-signature = { $file } is not what was signed: { $signature } does not hold ({ $reason })
    .fix = Get file and signature again from whoever signed them; atlas.toml lists the keys in the section [connector.{ $route }].
load-core-module = { $file } is a plain WebAssembly module, not a component
    .fix = Make it a component: atlas connector componentize.
load-not-a-component = { $file } is not a WebAssembly component: { $reason }
    .fix = Build the file again; it may be cut short or of another kind.
load-imports = { $file } imports what no connector may use: { $imports }
    .fix =
        Build it without them.{ $http ->
            [0] {""}
           *[other] {" "}wasi:http: componentize-js with disableFeatures: ['http', 'fetch-event'], jco with --disable http --disable fetch-event, componentize-qjs and componentize-py with --stub-wasi; requests go through atlas:connector/http.
        }{ $version ->
            [0] {""}
           *[other] {" "}WASI of another version: only 0.2 is served; update the toolchain or build with --stub-wasi.
        }{ $wasi ->
            [0] {""}
           *[other] {" "}Other WASI packages: leave out the library that asks for them, or build with --stub-wasi.
        }{ $foreign ->
            [0] {""}
           *[other] {" "}Other imports: leave them out of the connector's world; it may import atlas:connector and, of WASI, cli, io, clocks, random, filesystem and sockets alone.
        }
load-proposals = { $file } uses WebAssembly proposals that no connector may use: { $proposals }
    .fix = Build it without them: without -C target-feature (Rust), -m… (clang) or options of its compiler that turn them on.
load-version = { $file } was made for atlas:connector@{ $found }; this version has { $have }
    .fix = Build the connector again with this version's wit/ folder, or update Atlas.
load-does-not-fit = { $file } does not follow the connectors' contract: { $reason }
    .fix = Build the connector again with this version's wit/ folder.
load-describe = { $file } could not describe itself: { $reason }
    .fix = Tell the connector's author.
load-describe-ended = { $file } ended the process that it was examined in ({ $signal })
    .fix = Do not use this file, and tell the connector's author: it uses or has met a fault of the WebAssembly engine. Nothing else was hit.
load-descriptor = { $file } describes itself in a way that will not do: { $reason }
    .fix = Tell the connector's author.
load-compile-limit = Compiling { $file } took more than the limit { $name } ({ $value })
    .fix = Tell the connector's author; if it is legitimate, raise { $name } in the section [limits] of atlas.toml.
load-code-too-large = { $file } becomes more than { $limit } bytes of code when it is compiled
    .fix = No connector needs so much: tell its author, and do not take it from whoever made it so.
load-not-compiled = { $file } could not be compiled here: { $reason }
    .fix = See that this machine has memory and may start processes, and try again; nothing is known against the file.
load-trial = { $file } failed at a page that the present version fetched well: { $reason }
    .fix = Tell the connector's author; the present version goes on until the file changes, or until you accept this one: atlas connector accept ROUTE.
    .page = Tell the connector's author; the present version goes on until the file changes, or until you accept this one on the connector's page.
load-route-taken = { $file } serves the route { $route }, which { $other } serves too
    .fix = Leave only one of the two in the connectors' folder.
connector-key-made = ✅ Secret key in { $key }, public key in { $public }. Keep the first to yourself; list the second as keys in atlas.toml
connector-signed = ✅ { $file } signed: { $signature }
connector-verified = ✅ { $file } is what was signed: { $signature }
error-no-keys = No key to check { $file } by: atlas.toml lists none for route { $route }
    .fix = Name one with --key, or list it as keys in the section [connector.{ $route }] of atlas.toml.
error-key-file = The key in { $file } cannot be used: { $reason }
    .fix = Name a key file of minisign's format; atlas connector keygen makes one.
error-key-exists = { $file } is there already, and no key is overwritten
    .fix = Choose another name, or move the file away.
error-key-password = The password of the key { $file } is missing or wrong
    .fix = Set ATLAS_SIGNING_PASSWORD, or pass the password through a pipe.
error-no-password = No password for the key
    .fix = Set ATLAS_SIGNING_PASSWORD, or pass the password through a pipe; for a key without one, give --no-password.
error-file-unwritable = { $file } could not be written: { $reason }
    .fix = Check the folder, its permissions and the disk.
componentize-done = ✅ Component written to { $file } ({ $bytes } bytes). To look at it: atlas connector inspect { $file }
componentize-failed = { $file } could not be made a component: { $reason }
    .fix = It must be a core module (crate-type cdylib, target wasm32-unknown-unknown) of a crate that exports a connector with the SDK.
componentize-unwritable = The component could not be written to { $file }: { $reason }
    .fix = Check that the folder is there and may be written to.

## Connectors that change

connector-used = { $pages ->
        [1] 1 page
       *[other] { $pages } pages
    }, { $traps ->
        [1] 1 trap
       *[other] { $traps } traps
    }, { $refusals } refused
    CPU { $cpu } s, memory up to { $memory } MiB
connector-took-over = 🔄 Route { $route }: version { $version } ({ $digest }) serves from the next page on
connector-untried-no-page = {"   "}↳ untried: this process has fetched no page of this route yet
connector-untried-cursors = {"   "}↳ untried: cursors changed their meaning; each scrap under way stays on the version that it began with
connector-untried-request = {"   "}↳ untried: the new version asks for what the kept page does not have ({ $request })
connector-untried-busy = {"   "}↳ untried: the trial could not be seen through ({ $reason })
connector-ended-process = Route { $route }: version { $version } ({ $digest }) ended the process ({ $signal }), and did so again alone; it is held on all hosts
    .fix = Do not use it: put another version in the file's place and tell the connector's author. If the fault was Atlas's and is mended: atlas connector accept { $route } --digest { $digest }.
    .page = Do not use it: put another version in the file's place and tell the connector's author. If the fault was Atlas's and is mended, accept it on the connector's page.
connector-held = Route { $route }: the new version { $version } ({ $digest }) waits for your word
    .fix = Look at it with: atlas connector list. To let it serve: atlas connector accept { $route } --digest { $digest }.
    .page = See why on the connector's page and, if all is well, accept it there.
connector-goes-on = ↪️ The route { $route } goes on with version { $version } ({ $digest })
connector-rolled-back = ↩️ Route { $route }: back to version { $version } ({ $digest }), until the file changes
connector-removed = 🗑️ { $file } was removed: the route { $route } goes on with version { $version } ({ $digest }) until this process ends
connector-accepted = ✅ Route { $route }: version { $version } ({ $digest }) accepted. Running processes use it within a second.
connector-went-back = ✅ Route { $route }: back to version { $version } ({ $digest }) until the file changes. Running processes use it within a second.
connector-published = ✅ Route { $route }: version { $version } ({ $digest }) published. Workers take it within seconds.
published-present = present
published-earlier = earlier
connector-servindo = serves
connector-retida = waits for your word
connector-revertida = rolled back
connector-recusada = refused
hold-records = from the same answers a page gave { $after ->
        [1] 1 record
       *[other] { $after } records
    } instead of { $before }
hold-requests = it declares further requests ({ $requests })
hold-credential = it wants another credential, or has it stand elsewhere in requests ({ $after }; so far { $before })
hold-ended-process = held: it ended the process ({ $signal })
hold-unhashed = it leaves more out of the content hash ({ $pointers }): rows that are there would look new
error-nothing-held = No version of the route { $route } waits for your word
    .fix = See how the connectors stand with: atlas connector list.
    .page = How the route stands is on the connector's page.
error-another-waits = What waits of the route { $route } is version { $version } ({ $waits }), not { $digest }
    .fix = Look at it with: atlas connector list. Then accept it by its digest: atlas connector accept { $route } --digest { $waits }.
    .page = Look at the version that waits on the connector's page, and accept again.
error-version-not-kept = There is no earlier version of the route { $route } to go back to ({ $digest })
    .fix = The last ten versions that served the route are kept; for another, copy its file into the connectors' folder.
error-connector-state = What is remembered of connectors could not be changed: { $reason }
    .fix = Check that the folder of ATLAS_STATE belongs to this user, and that there is room on the disk.

## Database

db-file-created = 🆕 Embedded database created: { $file }
db-created = ✅ Tables created in { $location }
db-ready = ✅ Tables ready in { $location }
db-concern = ⚠️ { $what } (atlas doctor says what to do)
db-adopted = ℹ️ Existing database adopted: its tables and data stay as they are
db-foreign-rows = ℹ️ { $rows ->
        [1] 1 earlier record has
       *[other] { $rows } earlier records have
    } another kind of hash: the same content, fetched again, becomes a new record
db-status = { $location }: { $server }, table version { $version } (program: { $newest })
db-status-ready = ✅ All ready
db-status-not-ready = ⚠️ Tables, or the unique index of hash_conteudo, are missing ({ $tables }). Run: atlas db init

## Verification

verify-by-route = 📊 Records of client { $client } in dados_raw, by route
verify-newest = 🕒 Newest records of client { $client }
verify-scraps = 🧾 Scraps of client { $client }: read = inserted + duplicate + found again + rejected
verify-ok = ✅ All adds up: no record twice, and every scrap's account is right
verify-unfinished = ⚠️ Scraps that have not ended: { $ids }. Records may be missing: go on with atlas scrap resume
verify-off = ⚠️ It does not add up: see the columns above
adds-up = adds up
does-not-add-up = DOES NOT ADD UP

## Diagnosis

doctor-database = Database reachable: { $location }
doctor-tables = Tables ready ({ $server }, version { $version })
doctor-tables-missing = Tables missing: { $tables }
    .fix = Run: atlas db init.
    .page = On the server's machine, run: atlas db init.
doctor-hash-not-unique = dados_raw.hash_conteudo has no unique index
    .fix = Run: atlas db init. If there are hashes twice, remove those first.
    .page = On the server's machine, run: atlas db init. If there are repeated hashes, remove them first.
doctor-trigger = dados_raw has the trigger { $name } on INSERT, which may drop or change records
    .fix = A record that it drops is kept among the rejected ones and told as such. If that is not meant, drop or disable the trigger.
doctor-rule = dados_raw has the rule { $name } on INSERT, and PostgreSQL takes no ON CONFLICT on such a table: no record can be written
    .fix = Drop the rule (DROP RULE { $name } ON dados_raw); a trigger can do the same.
doctor-table-kind = dados_raw is { $kind ->
        [partitioned] partitioned: the unique index on hash_conteudo has to be one over all partitions
        [view] a view, into which nothing is written with ON CONFLICT
       *[foreign] a foreign table, which has no unique index of its own
    }
    .fix = Atlas needs a plain table with a unique index on hash_conteudo: let it create dados_raw in a database or schema of its own.
doctor-row-security = Row-level security of dados_raw decides which rows this role may write and see
    .fix = Give the role a policy for all rows, or BYPASSRLS; rows that it cannot see are told as missing.
doctor-column-type = dados_raw.{ $column } is { $found }, not { $wanted }
    .fix = { $column ->
        [id] Once the numbers are used up, or where none is given, no row can be written: make the column { $wanted }.
        [hash_conteudo] A hash has 64 characters, and a record whose hash does not fit is rejected: make the column { $wanted }.
       *[other] A record that does not fit is rejected: make the column { $wanted }.
    }
doctor-column-default = dados_raw.{ $column } wants a value and has no default: no record can be written
    .fix = Give the column a default, or let it be NULL.
doctor-encoding = The database's encoding is { $encoding }, not UTF8: records with other letters than its own cannot be written
    .fix = Create a database with ENCODING 'UTF8' and move the data there (pg_dump, pg_restore).
doctor-right = This role lacks { $right } on { $on }
    .fix = As the owner: GRANT { $right } ON { $right ->
        [USAGE] SEQUENCE{" "}
       *[other] {""}
    }{ $on } TO the role that Atlas connects as (see the end of migrations/dba.sql).
doctor-no-clients = No client registered
    .fix = Register one with: atlas client add 2151 --token - --base-url URL.
    .page = Register the first: number, token and base URL.
doctor-clients = Clients registered: { $count }
doctor-client-without-url = Client { $client } has no API address
    .fix = Register it with: atlas client set { $client } --base-url URL.
    .page = Type the base URL on the client's page.
doctor-budget-nearly-spent = Client { $client } has { $used } of the { $most } that { $name } allows it
    .fix = Beyond that its scraps stop. Move or delete what is no longer needed, or raise { $name } in atlas.toml, in [client.{ $client }.limits] or [limits].
doctor-scrap-abandoned = The process that ran scrap { $id } does not answer any more
    .fix = A worker that is up takes it over by itself in a moment; without any: atlas scrap resume { $id }.
    .page = Another process takes it over by itself in a moment; if not, use Resume on the scrap's page.
doctor-connectors = Connectors in { $folder }: { $routes }
doctor-no-connectors = No connector in { $folder }
    .fix = Build the connectors with: cargo xtask connectors, or name the folder with --connectors.
    .page = Put a connector (.wasm) there: each brings a route, and shows up without a restart.
doctor-error-log = Errors are written to { $file }
doctor-error-log-unwritable = { $file } cannot be written in this folder: { $reason }
    .fix = Run Atlas in a folder where it may write.

## Words and headings

yes = yes
no = no
default-api = (default)
heading-id = id
heading-scrap = scrap
heading-client = client
heading-route = route
heading-period = period
heading-state = state
heading-resumes = Resumes at
heading-reason = reason
heading-pages = pages
heading-frontier = pages to fetch
heading-read = read
heading-inserted = inserted
heading-duplicate = duplicate
heading-again = found again
heading-rejected = rejected
heading-declared = declared
heading-adds-up = account
heading-seconds = seconds
heading-connector = connector
heading-created = created at
heading-active = active
heading-api = API
heading-base-url = address
heading-private = private address
heading-parts = parts
heading-access-token = access token
heading-version = version
heading-sha256 = sha256
heading-used = used here
heading-file = file
heading-takes-period = takes a period
heading-page-size = records a page
heading-scheme = where the credential goes
heading-settings = settings
heading-budget = budget that it declares
inspect-grant = To let it make these requests, write into atlas.toml:
inspect-headers = Which headers of its vendor the connector sets, contract 0.1 does not say: a run that lacks the grant of one ends with the line headers = […] to paste.
heading-requests = requests that it needs
heading-key = key
heading-unhashed = left out of the hash
heading-slices = slices done
heading-cursor = cursor
heading-position = position
heading-detail = detail
heading-content = content
heading-records = records
heading-twice = twice
heading-first = first collected
heading-last = last collected
heading-collected = collected at
op-schedule = schedule
error-cron = "{ $value }" is no schedule: { $reason }
    .fix = Five fields: minute, hour, day of the month, month, day of the week. Every six hours: "0 */6 * * *".
error-timezone = There is no time zone "{ $value }"
    .fix = Names are those of the IANA database: America/Sao_Paulo, UTC.
error-slice = "{ $value }" is no length of a slice
    .fix = So many days or weeks: --slice 1d, --slice 2w.
    .page = So many days or weeks: 1d, 2w.
error-slices = Slices of { $value } are more than { $max }
    .fix = Take longer slices, or a shorter period.
error-window = "{ $value }" is no window
    .fix = So many days or weeks, at most ten years: 2d, 1w.
error-window-missing = The route { $route } takes a period, and no window was given
    .fix = Add --window 2d: today and the day before.
    .page = Fill in the window; 2d is today and the day before.
error-schedule-unknown = There is no schedule { $id }
    .fix = atlas schedule list shows those that there are.
    .page = Those that there are stand in Schedules.
error-schedule-overlaps = The last scrap of schedule { $id } ({ $scrap }) has not ended
    .fix = Wait for it, or: atlas scrap cancel { $scrap }.
    .page = Wait for it, or cancel it.
error-schedule-paused = Schedule { $id } is paused, or was changed just now
    .fix = atlas schedule resume { $id }, and again.
    .page = Resume it in Schedules, and again.
schedule-added = ✅ Schedule { $id } added: workers create its scraps (atlas worker).
schedule-paused = ⏸️ Schedule { $id } creates no scraps.
schedule-resumed = ▶️ Schedule { $id } creates scraps again.
schedule-removed = 🗑️ Schedule { $id } removed; its scraps stay.
schedule-is-paused = paused
heading-cron = cron
heading-timezone = time zone
heading-window = window
heading-next = next
error-reject-unknown = There is no rejected record { $id }
    .fix = atlas rejects list shows those that there are.
    .page = Those that there are stand on the scrap's page.
reject-replayed-before = Record { $id } was put into the table before.
reject-still = ⚠️ Record { $id } is still rejected: { $text } ({ $reason })
rejects-replayed = { $inserted } inserted, { $duplicate } there already, { $rejected } still rejected
error-scrap-of-another = Scrap { $id } is not client { $client }'s
    .fix = atlas scrap show { $id } says whose it is.
    .page = The scrap's page says whose it is.
heading-sweep = sweep
heading-off-by = off by
heading-first-declared = declared at first
verify-moved = On { $pages ->
        [1] 1 page
       *[other] { $pages } pages
    } the source declared another total than on the first: it moved while it was read.
verify-declared-off = { $read ->
        [1] 1 record was read
       *[other] { $read } records were read
    }: { $off } against the total that the source declared.
verify-scrap-ok = ✅ confere: the pages of scrap { $id } add up to it.
verify-scrap-off = ❌ The pages of scrap { $id } do not add up to it: { $off ->
        [1] 1 record
       *[other] { $off } records
    }.
rejected-no_connector = no connector serves its route here
error-api-exists = The API { $api } of client { $client } is registered already
    .fix = To change it: atlas client set { $client } --api { $api }, or atlas client credential set { $client } --api { $api }.
    .page = Open it on the client's page to change it.
client-api-removed = ✅ API { $api } of client { $client } removed
reject-in-table = put into the table { $when }
doctor-api-of-nobody = atlas.toml names the API { $api }, and no connector is of that API
    .fix = Correct api in the [[budget]] or [[grant]]; atlas connector list shows the APIs.

# The page and the API
op-access = access
op-browse = browse
op-serve = serve
serve-at = 🌐 Page and API at { $url }
serve-link = 🔑 Sign in (once, within 15 minutes): { $link }
serve-in-the-clear = ⚠️ Listening beyond this machine without TLS: passwords and data cross the network in the clear. Give --tls-cert and --tls-key, or put a proxy with TLS in front.
serve-ended = Server ended.
telemetry-not-sent = ⚠️ Traces do not reach their collector (OTLP): { $reason }. The work goes on without them.
access-link = Good once, for 15 minutes.
access-password = ✅ Password set. Whoever was signed in has to sign in again.
access-token = ✅ Token { $id } made. Keep it now: it is not shown again.
access-token-revoked = ✅ Token { $id } revoked.
error-listen = cannot listen at { $address }: { $reason }
    .fix = Choose another address or port with --listen ADDRESS:PORT.
error-serve = the server stopped: { $reason }
    .fix = Start again with `atlas serve`; scraps go on where they stopped.
error-certificate = { $file } is no certificate or key that can be used: { $reason }
    .fix = Give the chain as --tls-cert and the key as --tls-key, both PEM.
error-password-length = the password has to have { $min } to { $max } characters
    .fix = Use a phrase that only you know.
error-random = the system gave no random numbers
    .fix = Try again; if it persists, look at the operating system.
error-token-name = the token's name is missing or longer than { $max } characters
    .fix = Give a short name that says which program uses it.
error-token-unknown = there is no token { $id }
    .fix = See the numbers in `atlas access token list`.
    .page = Those that there are stand in Access.
error-page = a page of { $route } for client { $client } did not come: { $reason }
    .fix = Check the client's token and base URL, and try again.
error-page-late = the page did not come within { $seconds } s
    .fix = The source is slow or the budget of requests is spent: try later.
error-page-private = client { $client }'s API is at an address that was not granted: { $reason }
    .fix = If it is meant to be, grant it on the server's machine: `atlas client set { $client } --allow-private`. A URL given on the page grants nothing.
error-page-header = The connector sets { $number ->
        [one] a header that was not granted
       *[other] headers that were not granted
    } for the API { $api }: { $headers }
    .fix =
        If the API asks for that, atlas.toml on the server's machine needs these lines:
        {"[[grant]]"}
        api = "{ $api }"
        headers = {"["}{ $headers }{"]"}
web-scraps = Scraps
web-clients = Clients & Tokens
web-connectors = Connectors
web-data = Data
web-schedules = Schedules
web-health = Health
web-accesses = Access
web-skip = Skip to content
web-menu = Menu
web-live-on = live
web-live-off = not live
web-live-hint = What changes is shown without reloading
web-language = Language
web-colours = Colours
web-colours-auto = Automatic
web-colours-light = Light
web-colours-dark = Dark
web-sign-in = Sign in
web-sign-out = Sign out
web-sign-in-by-link = This link signs in once, in this browser.
web-sign-in-hint = No password? Ask for a link on the server's machine:
web-no-password-yet = There is no password yet. Use the sign-in link that the server printed when it began.
web-password = Password
web-password-wrong = that is not the password
    .fix = Check it and try again; or ask for a link with `atlas access link`.
web-link-used = this link was used or has expired
    .fix = Ask for another on the server's machine: `atlas access link`.
web-session-over = the session is over
    .fix = Sign in again: what you typed comes back with you (but for passwords and tokens).
web-throttled = too many tries: wait { $seconds } s
    .fix = Check the password meanwhile.
web-not-signed-in = nobody is signed in
    .fix = Send a valid token (Authorization: Bearer atlas_…) or sign in on the page.
web-not-allowed = this access only lets you read
    .fix = Use one with full access.
web-foreign-page = the request came from another page
    .fix = Make it on Atlas's own page.
web-form-expired = the form is of another session
    .fix = Open it again and send it once more.
web-form-again = Open the form again
web-other-host = this server does not answer to the name “{ $host }”
    .fix = Use the address that `atlas serve` shows, or start it with --host { $host }.
web-too-large = the request is too large
    .fix = Connectors are put into the folder, or published with `atlas connector publish`.
web-bad-request = the request cannot be understood: { $reason }
    .fix = See the format at /api/v1/docs.
web-other-media = the body has to be application/json
    .fix = Send Content-Type: application/json.
web-other-method = this address does not take that method
    .fix = See the methods at /api/v1/docs.
web-idempotency-key = the Idempotency-Key has to have 1 to { $max } ASCII characters
    .fix = Use a UUID for each request.
web-request-different = this Idempotency-Key was used for another request
    .fix = Use a new key for each request.
web-request-underway = the request with this Idempotency-Key is under way, or nobody knows how it ended
    .fix = Look at what is there before asking again with another key.
web-page-unknown = there is nothing at { $path }
    .fix = Begin at /scraps or, for programs, at /api/v1/docs.
web-failed = That did not work
web-back = Back to the beginning
web-leave-it = Leave it as it is
web-filter = Filter
web-filter-none = Remove the filter
web-all = All
web-client = Client
web-route = Route
web-period = Period
web-state = State
web-progress = Progress
web-progress-of = Progress of scrap { $id }
web-pages = Pages
web-read = Read
web-inserted = Inserted
web-duplicate = Duplicate
web-again = Found again
web-rejected = Rejected
web-rate = Records/s
web-rate-unit = records/s
web-left = Left
web-actions = Actions
web-paging = Pages of the list
web-newest = Newest
web-older = Older
web-first = First
web-next = Next
web-shown = { $count } shown
web-more-new = There are new scraps: reload
web-nothing-found = Nothing matches the filter.
web-first-connector = First, put a connector (.wasm) into the folder { $folder }: each brings a route. It appears here without a restart.
web-first-client = First, register a client: its number, its token and the API's base URL.
web-first-scrap = All is ready for the first scrap: choose client, route and period.
web-new-scrap = New scrap
web-create-and-run = Create and run
web-create = Create only (run later)
web-see-preview = See the first request
web-preview = First request
web-preview-none = The connector did not say what its first request would be.
web-preview-hint = Below the base URL of API { $api }; connector { $version }; { $size ->
        [1] 1 record
       *[other] { $size } records
    } a page. Nothing was sent.
web-preview-slices = There would be { $count ->
        [1] 1 slice
       *[other] { $count } slices
    }.
web-choose = Choose
web-from = From
web-to = To
web-slice = Divide into parts of
web-slice-hint = Days or weeks: 1d, 1w; empty: it is not divided
web-more-settings = Batch, attempts, page size
web-batch = Batch (BATCH_EXPORT)
web-batch-hint = Records a transaction
web-retries = Attempts (RETRY_MAX)
web-retries-hint = Attempts at a page
web-page-size = Records a page
web-page-size-hint = How many records to ask for in a page
web-as-connector = as the connector says
web-route-missing = the route is missing
    .fix = Choose a route from the list.
web-no-number = “{ $value }” is no number that { $field } could have
    .fix = Type digits only, up to 2147483647.
web-again-at = tries again at
web-throttled-until = waits until
web-run = Run scrap
web-resume = Resume
web-pause = Pause
web-cancel = Cancel
web-same-again = Same again
web-cancel-scrap = Cancel scrap { $id }
web-ask-cancel = Scrap { $id } (client { $client }, route { $route }) stops where it is: { $pages ->
        [1] { $pages } page
       *[other] { $pages } pages
    } and { $read ->
        [1] 1 record that was read
       *[other] { $read } records that were read
    } stay in the table. It can be resumed later.
web-scrap = Scrap { $id }
web-slices = Slices: { $done } of { $count } done
web-slice-of = Slice of scrap { $id }
web-slices-of = Slices of scrap { $id }
web-frontier = To fetch
web-page-ms = ms a page
web-failed-attempts = Repeated attempts
web-plot = Pace
web-plot-none = The plot appears while the scrap runs.
web-reconciliation = Reconciliation
web-declared = Declared by the source
web-adds-up = it adds up
web-adds-up-so-far = adds up so far
web-off-by = does not add up: { $count ->
        [1] 1 record
       *[other] { $count } records
    } read without a fate
web-missing = the source declared { $declared } and { $read } were read
web-strip = Pages of the scrap
web-strip-none = No page yet.
web-all-pages = See all pages
web-page-gravada = written
web-page-repetida = tried again
web-page-rejeitada = with rejected ones
web-page-buscada = fetched, being written
web-page-pendente = to be fetched
web-records = { $count ->
        [1] 1 record
       *[other] { $count } records
    }
web-pages-of = Pages of scrap { $id }
web-cursor = Cursor
web-sweep = Sweep
web-attempts = Attempts
web-written-at = Written at
web-rejects = Rejected records
web-rejects-see = See { $count } rejected
web-rejects-of = Rejected records of scrap { $id }
web-rejects-none = No rejected record.
web-replay = Replay
web-replay-all = Replay all
web-replay-hint = Replaying checks once more and puts into the table what can be kept by now.
web-replayed = replayed
web-replayed-todos = Replayed: it is in the table.
web-replayed-alguns = Replayed: some are in the table, some are rejected still.
web-replayed-nenhum = Nothing went into the table: each record says why.
web-position = Place on the page
web-when = When
web-size = Size
web-exact-bytes = Download the exact bytes
web-log = Log
web-log-none = Nothing yet.
web-details = Details
web-created = Created
web-ran = Ran for
web-connector = Connector
web-line-begins = Scrap { $id } began ({ $pages ->
        [1] 1 page done before
       *[other] { $pages } pages done before
    }), writing to { $location }
web-line-attempt = Attempt { $attempt } of { $of } failed: { $reason }; again in { $wait } s
web-line-not-ready = Not ready yet (try { $tried } of { $of }): { $reason }; asked again in { $wait } s
web-line-rejected = Record rejected: { $code ->
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
    } (detail: { $reason })
web-line-ended-pendente = Scrap { $id } is back in the queue
web-line-ended-executando = Scrap { $id } goes on in another process
web-line-ended-concluido = Scrap { $id } is done
web-line-ended-concluido_com_ressalva = Scrap { $id } is done, with reservations
web-line-ended-interrompido = Scrap { $id } was interrupted
web-line-ended-pausado = Scrap { $id } was paused
web-line-ended-token_recusado = Scrap { $id } stopped: the token was refused
web-line-ended-suspenso = Scrap { $id } was suspended
web-line-ended-cancelado = Scrap { $id } was cancelled
web-line-ended-falhou = Scrap { $id } failed
web-clients-hint = A stored token is never shown again.
web-new-client = New client
web-client-id = Client's number
web-client-id-hint = The cliente_id, as the client's system knows it
web-client-of = Client { $id }
web-token = Token
web-token-hint = It is stored, and not shown again
web-token-again-hint = Empty: what is stored stays
web-base-url = Base URL of the API
web-base-url-hint = An address of the internal network (10.x, 192.168.x, localhost)? Whoever runs the server has to grant it
web-save = Save
web-saved = Saved.
web-active = active
web-inactive = inactive
web-paused = paused
web-apis = APIs
web-default-api = Default
web-default-serves = This token and address serve: { $apis }
web-default-unbound = This token and address serve no API yet: the first scrap decides which one.
web-bind-default = Let it serve { $api }, too
web-default-bound = The default token and address of client { $client } serve the API of this route from now on, and no other.
web-no-default-api = This client has no default base URL.
web-default-token = uses the default token
web-has-parts = credential of its own:
web-own-apis = APIs of its own
web-own-apis-hint = An API with another address or credential than the default.
web-set-api = Set up API { $api }
web-no-parts = This API's connectors need no credential.
web-part-token = Token
web-part-username = User name
web-part-password = Password
web-part-client-id = client_id
web-part-client-secret = client_secret
web-part-refresh-token = refresh_token
web-part-token-url = Token URL (token_url)
web-part-scope = Scope (scope)
web-replace = Replace
web-remove = Remove
web-remove-api = Remove API { $api }
web-ask-remove-api = API { $api } of client { $id } and its credential are deleted. Data stays.
web-activate = Activate
web-deactivate = Deactivate
web-deactivate-client = Deactivate client { $id }
web-ask-deactivate = No scrap of client { $id } begins while it is inactive. Data and token stay.
web-remove-client = Remove client { $id }
web-ask-remove-client = Client { $id } and its credentials are deleted. That is possible only if it has neither data nor scraps.
web-test-token = Test the token
web-test-token-hint = Fetches one real page; nothing is stored.
web-test = Test
web-connectors-hint = Each .wasm file in this folder brings a route; changing the file changes the next page:
web-connector-of = Connector { $route }
web-connector-soon = Done: it holds within a second.
web-api = API
web-version = Version
web-digest = SHA-256
web-file = File
web-traps = Traps
web-refusals = Refusals
web-cpu = CPU
web-memory = Memory (peak)
web-reloads = Live changes
web-reloads-hint = What happens to the files while this page is open.
web-serving = serving
web-accept = Accept the held version
web-roll-back = Go back to the version before
web-go-back-to = Go back to this one
web-credential = Credential
web-limits = Limits
web-limits-hint = They are changed in atlas.toml.
web-limit-memory = Connector's memory
web-limit-cpu = CPU a page
web-limit-requests = Requests a page
web-limit-body = Answer
web-limit-records = Records a page
web-history = Versions
web-history-none = No version has served yet.
web-try-page = Try one page
web-try-page-hint = Fetches the first page with this connector; nothing is stored.
web-try = Try
web-tried = Tried: nothing was stored
web-tried-records = { $count ->
        [1] 1 record
       *[other] { $count } records
    } in { $took }
web-tried-next = Next cursors: { $next }.
web-tried-total = Declared total: { $total }.
web-accept-version = Accept the version of { $route }
web-ask-accept = The held version of { $route } serves from the next page on, for all scraps.
web-roll-back-route = Go back with { $route }
web-ask-roll-back = The version of { $route } before serves, until the file changes.
web-ask-roll-back-to = Version { $digest } of { $route } serves, until the file changes.
web-verify-1 = Verification 1: how many records, none twice
web-verify-2 = Verification 2: the newest records
web-no-records-yet = No record of this client yet.
web-rows = Rows
web-doubles = Doubles
web-first-collected = First collected
web-last-collected = Last collected
web-payload = Payload
web-by-day = Rows by route and day (30 days)
web-by-day-none = Nothing was collected in the last 30 days.
web-browse-records = Search records
web-records-title = Records
web-record = Record { $id }
web-record-unknown = there is no record { $id }
    .fix = Search in Data › Records.
web-show = Show
web-search = Search
web-json-path-field = JSON path
web-value = Value
web-json-path = “{ $path }” is no JSON path (RFC 9535)
    .fix = A path begins with $: for example $.cliente.nome or $.itens[0].codigo.
web-searched = { $n ->
    [one] { $count } record looked at.
   *[other] { $count } records looked at.
}
web-password-lacks = Nobody has set a password yet: without one, the next sign-in needs a link from the server’s command line.
web-password-set-one = Set a password
error-path-prefix = “{ $value }” is no path that a server can have in front of its own
    .fix = Give a path such as /atlas: letters, digits, -, _, . and ~ between slashes.
web-times-in = Times in { $zone }
web-by-day-others = { $count ->
    [one] One more route has fewer rows: choose it to see it.
   *[other] { $count } more routes have fewer rows: choose one to see it.
}
web-searched-back-to = Back to the one collected on
web-searched-all = No more are left.
web-search-on = Search on
web-search-stop = Stop
web-searching = searching on…
web-query-unknown = this address takes no parameter “{ $name }”
    .fix = It takes: { $known }.
web-query-none = this address takes no parameters, and “{ $name }” is one
    .fix = Leave out all that follows the question mark.
web-query-twice = “{ $name }” is given twice
    .fix = Give it once: only one value can be meant.
web-export = Export:
web-payload-cut = Shown up to { $shown } of { $size }; download it to see all.
web-whole-payload = Download it whole
web-format-unknown = there is no format “{ $format }”
    .fix = Use jsonl or csv.
web-state-unknown = there is no state “{ $state }”
    .fix = The states are at /api/v1/docs.
web-schedules-hint = Scraps that create themselves, at their time.
web-new-schedule = New schedule
web-no-schedules = No schedule yet: make one to fetch data by itself, for example every six hours.
web-cron = When (cron)
web-cron-hint = minute hour day month weekday; 0 */6 * * * is every six hours
web-timezone = Time zone
web-timezone-hint = The zone that times are read in
web-window = Window
web-window-hint = Days that each scrap asks for, today included: 2d, 1w
web-overlap = Create one even if the one before has not ended
web-next-time = Next
web-last-scrap = Last scrap
web-days = { $count ->
        [1] { $count } day
       *[other] { $count } days
    }
web-run-now = Run now
web-remove-schedule = Remove schedule { $id }
web-ask-remove-schedule = Schedule { $id } creates no more scraps. Those that it created stay.
web-doctor = Diagnosis
web-queue = Queue
web-queue-none = No scrap yet.
web-divided = divided
web-database = Database
web-where = Where
web-disk-free = Free on the disk
web-hosts = Processes that run scraps
web-host = Process
web-since = Since
web-seen = Seen
web-running-scraps = Running
web-version-of = Atlas { $version }
web-password-set = There is a password. A new one ends all sessions, this one too.
web-password-none = There is no password yet: one signs in by a link, to be asked for on the server's machine:
web-new-password = New password
web-new-password-hint = 12 characters or more
web-tokens = Tokens of programs
web-tokens-hint = For the API (Authorization: Bearer).
web-api-docs = See the API
web-name = Name
web-scope = Scope
web-scope-read = read only
web-scope-full = full
web-never = never
web-new-token = Make a token
web-token-once = Token made. Keep it now: it is not shown again.
web-copy = Copy
web-copied = Copied
web-revoke = Revoke
web-revoke-token = Revoke the token
web-ask-revoke = The program that uses the token “{ $name }” is kept out, at once.
web-api-hint = All that the page does, for programs. Here your session is used; programs send a token.
web-body = Body (JSON)
web-send = Send
web-settings = Settings
settings-set = ✅ Settings of API { $api } of client { $client } stored; scraps that are created from now on have them.
error-settings = the settings of API { $api } of client { $client } do not suit route { $route }: { $reason }
    .fix = Correct them on the client's page or with `atlas client settings set { $client } --api { $api } --json -`.
    .page = Correct them on the client's page, at the API { $api }.
error-scrap-settings = scrap { $id } was created with settings that do not suit route { $route }: { $reason }
    .fix = Correct the client's settings and create a new scrap.
error-settings-broken = What client { $client } has set of the API { $api } cannot be read: it is not a JSON object
    .fix = Set it again: atlas client settings set { $client } --api { $api } --json FILE.
    .page = Set it again on the client's page.
error-settings-long = the settings of API { $api } have more than { $max } bytes
    .fix = Settings are few and short.
error-settings-json = { $file ->
        [stdin] Standard input
       *[other] { $file }
    }, line { $line }: no JSON object ({ $reason })
    .fix = Write an object, for example of one member: "loja": 3, in braces.
web-line-connector = Connector: { $line }
web-adds-up-but = it adds up, with the reservations above
web-parts-stay = Leave the fields empty, and what is stored stays.
error-credential-elsewhere = the stored credential of client { $client } was given for { $url }, and goes nowhere else
    .fix = Type the credential again together with the new address; or change the address on the server's machine, with `atlas client set { $client } --base-url URL`.
web-signature = Signature
web-signature-good = good, and demanded of this route
web-signature-unchecked = there is one; no key is demanded of this route (pins in atlas.toml)
web-signature-none = none
web-as-table = See as a table
web-counting = Still counting what client { $client } has: in this table, that takes more than a few seconds
    .fix = Come back in a while: the count goes on, and its answer is kept for a minute.
web-reload = Load again
web-see-records = See records
web-duplicate-hint = { $count } were in the table before, with the same content: nothing is lost or doubled.
web-again-hint = { $count } had been written by an earlier attempt at the same page.
web-attempts-failed = failed attempts
web-store-gone = database silent
web-token-works = ✓ The token works: the API gave a page. Nothing was stored
web-tried-examples = See the first records
web-token-retype-hint = Type it again: a token does not come back to the page
web-removed = Removed.
web-undone = The session was over, and nothing was done. Check what is below, and send it again.
web-password-again = The same password again
web-password-ends-all = Once it is saved, all sessions end, this one too: sign in again with the new password.
web-password-saved = Password saved. Sign in with it.
web-last-use = Last use
web-schedule-active = active
web-cron-hourly = every hour
web-cron-six-hours = every six hours
web-cron-daily = every day at 3
web-cron-workdays = Monday to Friday at 3
web-cron-monthly = on the 1st of each month at 3
web-fileless = no file: the kept version goes on
web-collected-from = Collected from
web-collected-to = Collected to
web-exact-value = Exact value
web-export-excel = CSV for Excel
web-browse-and-export = Search and export records
web-password-differs = the two passwords are not the same
    .fix = Type the same password in both fields.
web-value-alone = A value needs a JSON path that says where to look for it
    .fix = For example, path $.numero or only numero, and value PED-000123.
web-private-url = { $url } is an address of the internal network and was not granted yet: nothing is sent there
    .fix = Ask whoever runs the server to run there: atlas client set { $client } --allow-private.
error-database-silent = The database did not answer in time
    .fix = When it is back, load the page again; scraps go on by themselves.
error-page-token = The API refused the token of client { $client }: { $reason }
    .fix = Check that the token was copied whole and still holds; type it again, and test again.
error-page-passing = The API of client { $client } gave no page now: { $reason }
    .fix = The token was not refused. If there was no connection, check the base URL and whether the server is up; else try later.
error-page-not-ready = The API of client { $client } answers, and has nothing ready yet ({ $seconds } s to wait): { $reason }
    .fix = Nothing failed: the token was accepted. Test again after that time; a scrap waits by itself.
error-page-wait = The API of client { $client } asks to wait { $seconds } s: { $reason }
    .fix = The token was not refused: wait, and test again. A scrap waits by itself.
web-json-path-costly = “{ $path }” is too complex a path for this search
    .fix = Use at most one .., one simple filter, such as ?@.total > 10, and four commas.
web-too-many-listeners = Too many listen to events already
    .fix = End some of the listeners of this token or session, and try again.
web-full = The server has as many connections as it takes
    .fix = Close connections that are not needed; people who are signed in, signing in and /healthz are still answered.
web-busy = Too many heavy questions are under way
    .fix = Wait some seconds, and try again.
web-verify-3 = Verification 3: read = inserted + duplicate + found again + rejected
web-sums-of = Scraps of this client: { $count }
web-unfinished = { $count } did not end: records may be missing
web-host-silent = silent
web-all-routes = All
doctor-late = The diagnosis did not end within { $seconds } s
    .fix = Some program must be holding the database: see which, and load again.
web-detail = Technical detail: { $text }
web-too-large-to-search = { $n ->
    [one] { $count } has more than { $max } and was not looked into.
   *[other] { $count } have more than { $max } and were not looked into.
}
web-export-skips = The file has no records of more than { $max }: a search by path does not look into them.
web-counted-at = Counted at

# What the system, a library or Atlas itself says of a fault, where a message names it as its reason
detail-quoted = { $text }
detail-no-tcp = no TCP connection:
detail-no-tcp-yet = no TCP connection
detail-not-sent = while the request was sent:
detail-closed-early = the connection was closed before the answer was whole
detail-database-talk = the connection to the database failed:
detail-pool = no connection to the database was free in time
detail-database-eof = the database closed the connection
detail-database-silent = no answer within { $a } s
detail-dns-unknown = there is no such name
detail-dns-later = the name server does not answer now
detail-dns-none = the name has no address
detail-os-1 = not permitted
detail-os-2 = it does not exist
detail-os-5 = the disk failed (input/output error)
detail-os-12 = there is no memory left
detail-os-13 = permission denied
detail-os-17 = it is there already
detail-os-20 = a part of the path is no folder
detail-os-21 = it is a folder
detail-os-22 = the system does not take that
detail-os-24 = too many files are open
detail-os-28 = no space is left on the disk
detail-os-30 = the file system is read-only
detail-os-32 = the other end was closed
detail-os-36 = the name is too long
detail-os-98 = another program listens there
detail-os-99 = this machine does not have that address
detail-os-101 = that network is out of reach
detail-os-104 = the other end broke the connection off
detail-os-110 = no answer in time
detail-os-111 = connection refused
detail-os-113 = there is no route to that machine
detail-cert-issuer = the authority that signed it is not known here
detail-cert-expired = it has expired (
detail-cert-expired-plain = it has expired
detail-cert-name = it is not for { $a }, but for { $b }
detail-cert-name-plain = it is for another name
detail-toml = TOML, line { $a }, column { $b }
detail-json-short = the JSON is cut short (line { $b }, column { $c })
detail-json-value = it is not JSON (line { $a }, column { $b })
detail-json-ident = it is not JSON (line { $a }, column { $b })
detail-json-key = JSON wants a key between quotes (line { $a }, column { $b })
detail-json-more = something follows the JSON (line { $a }, column { $b })
detail-json-comma = a comma too many (line { $a }, column { $b })
detail-json-brace = a comma or {"}"} is missing (line { $a }, column { $b })
detail-json-bracket = a comma or ] is missing (line { $a }, column { $b })
detail-json-colon = a colon is missing (line { $a }, column { $b })
detail-field-missing = the field { $a } is missing
detail-field-unknown-of = there is no field { $a } (there are: { $b })
detail-field-unknown = there is no field { $a } (there is: { $b })
detail-sqlite-open = the file cannot be opened
detail-sqlite-none = the file is not an SQLite database
detail-sqlite-malformed = the file is damaged
detail-sqlite-full = the disk is full
detail-sqlite-readonly = the file may only be read
detail-sqlite-locked = another program holds the file
detail-sqlite-io = the disk failed
detail-no-connection = no connection:
detail-no-connection-sdk = no connection:
detail-broke = the connection broke before the answer was whole:
detail-late = no whole answer in time:
detail-late-after = none within { $a } s
detail-nothing-came = nothing came for { $a } s
detail-dribbles = it came at less than { $a } bytes a second while another client waited
detail-unreadable = the answer cannot be read:
detail-encoded = it is encoded as { $a }
detail-too-large = the answer is larger than { $a } bytes (limit body_bytes)
detail-page-late = the page took longer than { $a } ms (limit page_wall_ms)
detail-no-memory = no memory for connectors is left
detail-left-alone = the source asked to be left alone
detail-told-wait = the source's answer asks for a wait
detail-day-spent = { $a ->
        [1] the day's only request is spent
       *[other] the day's { $a } requests are spent
    }
detail-budget-spent = the budget of requests is spent:
detail-budget-empty = the budget of requests is empty
detail-token-again = the source refused the access token; the page is asked for again with a new one
detail-not-renewed = the access token could not be renewed:
detail-refused = the credential was refused:
detail-no-token = the token URL did not answer with a token (RFC 6749, section 5.1)
detail-token-url = the token URL answered
detail-not-granted = the request was not granted:
detail-no-request = not a request:
detail-no-pointer = not a JSON pointer:
detail-redirects = more than { $a } redirects
detail-redirect-elsewhere = a redirect to { $a }, another origin than the granted one
detail-file-unread = the file could not be read:
detail-unreachable = the code came to an `unreachable` instruction (a panic, as a rule)
detail-reject-utf8 = no UTF-8 at byte { $a }
detail-reject-nul = U+0000 at byte { $a }
detail-reject-surrogate = half of a surrogate pair at byte { $a }
detail-reject-number = a number beyond PostgreSQL's numeric at byte { $a }
detail-reject-key = the key { $a } again at byte { $b }
detail-reject-bytes = bytes; limit record_bytes ({ $a }), which [limits] of atlas.toml raises
detail-reject-depth = limit record_depth ({ $a }), which [limits] of atlas.toml raises
detail-line = line { $a }:
detail-toml-table = the ] of a section is missing
detail-field-type = { $a } stands where { $b } is wanted
detail-os-40 = its link leads in a circle
detail-not-granted-short = not granted:
detail-want-number = { $a } is not a whole number
detail-want-number-long = { $a } is not a whole number
detail-want-number-short = { $a } is not a whole number
detail-not-regular = it is not a regular file
detail-pg-database = there is no database { $a }
detail-pg-role = there is no user { $a }
detail-pg-password = the password of user { $a } is another
detail-pg-table = no right to the table { $a }
detail-pg-sequence = no right to the sequence { $a }
detail-pg-schema = no right to the schema { $a }
detail-pg-create = no right to create databases
detail-pg-read-only = the server takes no writes now ({ $a }, read-only)
detail-pg-standby = the server is read-only: a standby perhaps
detail-place-gone = : it is gone
detail-place-short = : it was cut short
detail-place-file = : another file stands there
detail-place-over = : something else was written over it
detail-place-database = : another database was written over it
detail-place-log = : the files beside it (-wal, -shm) are gone, or are others
