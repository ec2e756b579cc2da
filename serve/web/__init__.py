"""The web parts that the service's page and the demo share: the sheet, the readings and what goes with them."""
