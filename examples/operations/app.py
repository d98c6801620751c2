"""Every operation of the context, a file for each service."""

import restate_sdk
from accounts import Accounts
from approvals import Approvals
from auctions import Auctions
from orders import Orders
from quotes import Quotes

app = restate_sdk.Endpoint(Orders(), Quotes(), Auctions(), Accounts(), Approvals(), version_label="1")

if __name__ == "__main__":
    app.serve()
