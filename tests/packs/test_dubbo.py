"""Dubbo's registration by interface."""

from __future__ import annotations

from urllib.parse import quote_plus

from tests.packs.system import System

ORDERS, STOCK = "com.example.OrderService", "com.example.StockService"


def url(scheme: str, number: int, interface: str) -> str:
    return quote_plus(f"{scheme}://10.0.0.{number}:20880/{interface}?application=shop&side=provider&timestamp=17")


def test_dubbo() -> None:
    system = System("dubbo")
    for number in (1, 2):
        system.write(f"/dubbo/{ORDERS}/providers/{url('dubbo', number, ORDERS)}", owner=number)
        system.write(f"/dubbo/{STOCK}/consumers/{url('consumer', number, STOCK)}", owner=number)
    system.write(f"/dubbo/{ORDERS}/consumers/{url('consumer', 3, ORDERS)}", owner=3)
    # One that registered with dynamic=false is persistent.
    system.write(f"/dubbo/{STOCK}/providers/{url('dubbo', 4, STOCK)}")
    for interface in (ORDERS, STOCK):
        for category in ("configurators", "routers"):
            system.write(f"/dubbo/{interface}/{category}")
    system.write("/dubbo/config/dubbo/shop.configurators", "configVersion: v3.0")
    system.write(f"/dubbo/metadata/{ORDERS}/provider/shop", "{}")
    system.write(f"/dubbo/mapping/{ORDERS}", "shop")
    assert system.said == {
        "interfaces": {(): 2},
        "providers": {(ORDERS,): 2},
        "consumers": {(ORDERS,): 1, (STOCK,): 2},
    }
