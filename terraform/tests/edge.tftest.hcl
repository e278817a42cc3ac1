# A domain of one's own: webhooks are open, everything else asks who is there.

variables {
  project = "acme-chat"
  region  = "asia-east1"
  images = {
    for name in ["gateway", "controller", "messenger", "connector", "landing", "timekeeper", "failures"] :
    name => "asia-east1-docker.pkg.dev/acme-chat/chatflow/${name}@sha256:${sha256(name)}"
  }
  admins              = ["group:ops@example.com"]
  public_webhooks     = true
  backups             = { daily_days = 7, weekly_days = 98, point_in_time_recovery = true }
  deletion_protection = true
  edge                = { domain = "chat.example.com" }
}

run "only_webhooks_are_open" {
  module {
    source = "./modules/chatflow"
  }

  assert {
    condition     = output.edge.open_paths == toset(["/webhooks/*"])
    error_message = "More than webhooks is open."
  }

  assert {
    condition     = output.edge.signed_in == { admin = true, webhooks = false } && output.edge.admins == toset(["group:ops@example.com"])
    error_message = "The admin page is open, or webhooks ask for a sign-in that channels do not have."
  }

  assert {
    condition = alltrue([
      for name, it in output.functions : it.ingress == (it.open ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY")
    ])
    error_message = "A service can be reached around the load balancer."
  }

  assert {
    condition     = length(output.functions["admin"].invokers) == 2 && contains(output.functions["admin"].invokers, "group:ops@example.com") && !output.functions["admin"].public
    error_message = "Others than the admins and the proxy before them may call the API."
  }

  assert {
    condition     = output.webhooks == "https://chat.example.com/webhooks/" && output.admin == "https://chat.example.com"
    error_message = "People are told another address than the domain's."
  }
}

run "a_key_encrypts_everything" {
  module {
    source = "./modules/chatflow"
  }

  variables {
    kms_key = "projects/acme-chat/locations/asia-east1/keyRings/chatflow/cryptoKeys/chatflow"
    secrets = { "hr-token" = ["connector"] }
  }

  assert {
    condition     = length(output.encrypted_with) > 0 && alltrue([for key in output.encrypted_with : key == "projects/acme-chat/locations/asia-east1/keyRings/chatflow/cryptoKeys/chatflow"])
    error_message = "Something that is kept is not encrypted with the key."
  }
}

run "a_domain_that_is_none_is_refused" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    name                      = "chatflow"
    domain                    = "https://chat.example.com/"
    webhook_service           = "chatflow-gateway"
    admin_service             = "chatflow-admin"
    webhooks_per_minute       = 600
    admin_requests_per_minute = 600
  }

  expect_failures = [var.domain]
}
