"""The ticket shop: tickets and carts are objects, payments a service; a delayed message gives back what is not bought.

An endpoint may serve one of the services or all of them; calls between them go through the runtime either way.
"""

import restate_sdk
from carts import Carts
from payments import Payments
from tickets import Tickets

app = restate_sdk.Endpoint(Tickets(), Carts(), Payments())

if __name__ == "__main__":
    app.serve()
