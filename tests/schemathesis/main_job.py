"""Does the main job with the client that a generator made of the API's own document.

Arguments: the API's address, a token, the source's address, the source's token.
"""

import sys
import time

from gerado import AuthenticatedClient
from gerado.api.clients import clients_add
from gerado.api.records import records_list, records_totals
from gerado.api.scraps import scraps_create, scraps_list, scraps_show
from gerado.models import ClientView, FoundRecords, NewClient, NewScrap, Problem, ScrapView

api, token, source, source_token = sys.argv[1:]
client = AuthenticatedClient(base_url=api, token=token)

registered = clients_add.sync(client=client, body=NewClient(cliente_id=7, token=source_token, base_url=source))
assert isinstance(registered, ClientView), registered

# The address is on this machine, which only the operator grants: a program is told so, in a type of its own.
refused = scraps_create.sync(client=client, body=NewScrap(cliente_id=99, rota="pedido", de="2025-10-20", ate="2025-10-24"))
assert isinstance(refused, Problem) and refused.status == 422 and refused.fix, refused

created = scraps_create.sync(
    client=client, body=NewScrap(cliente_id=2151, rota="pedido", de="2025-10-20", ate="2025-10-24", tamanho_pagina=10)
)
assert isinstance(created, ScrapView), created
for _ in range(600):
    scrap = scraps_show.sync(created.id, client=client)
    assert isinstance(scrap, ScrapView), scrap
    if scrap.estado == "concluido":
        break
    time.sleep(0.1)
assert scrap.estado == "concluido" and scrap.lidos == scrap.inseridos > 0, scrap
assert [one.id for one in scraps_list.sync(client=client, cliente=2151).itens] == [created.id]

found, cursor = 0, None
while True:
    part = records_list.sync(client=client, cliente=2151, rota="pedido", limite=20, **({"cursor": cursor} if cursor else {}))
    assert isinstance(part, FoundRecords), part
    found += len(part.itens)
    cursor = part.proximo
    if not cursor:
        break
assert found == scrap.inseridos, (found, scrap)
assert [total.registros for total in records_totals.sync(client=client, cliente=2151)] == [found]
