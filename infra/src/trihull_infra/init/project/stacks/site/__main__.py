from trihull_infra.site import run

run()
