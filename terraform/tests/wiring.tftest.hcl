# How the parts belong together: applied with the stand-in of Google's provider, which knows its schema.

variables {
  project = "acme-chat"
  region  = "asia-east1"
  images = {
    for name in ["gateway", "controller", "messenger", "connector", "landing", "timekeeper", "failures"] :
    name => "asia-east1-docker.pkg.dev/acme-chat/chatflow/${name}@sha256:${sha256(name)}"
  }
  admins              = ["group:ops@example.com"]
  analysts            = ["group:analysts@example.com"]
  public_webhooks     = true
  secrets             = { "hr-token" = ["connector"], "line" = ["gateway", "messenger"] }
  backups             = { daily_days = 0, weekly_days = 0, point_in_time_recovery = false }
  deletion_protection = false
}

run "wiring" {
  module {
    source = "./modules/chatflow"
  }

  # Pushes.

  assert {
    condition = alltrue([
      for topic, it in output.topics :
      it.push.endpoint == "${output.functions[it.function].url}/" && it.push.audience == output.functions[it.function].url
    ])
    error_message = "A subscription pushes elsewhere than to the function that it wakes, or for another audience."
  }

  assert {
    condition = alltrue([
      for topic, it in output.topics : output.functions[it.function].topic == topic && it.push.service_account == output.functions[it.function].caller
    ])
    error_message = "A subscription pushes in another account's name than the function's caller."
  }

  assert {
    condition = alltrue([
      for name, it in output.functions : it.invokers == toset(["serviceAccount:${it.caller}"]) && !it.public if !it.open
    ])
    error_message = "Somebody other than its caller may invoke a function."
  }

  assert {
    condition     = length(distinct([for it in output.functions : it.caller if !it.open])) == length([for it in output.functions : it if !it.open])
    error_message = "Two functions share a caller."
  }

  assert {
    condition     = alltrue([for name, it in output.functions : it.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" if !it.open])
    error_message = "A function that only Google calls can be reached from outside."
  }

  assert {
    condition = alltrue([
      for name, it in output.functions :
      it.environment["CHATFLOW_PUSH_AUDIENCE"] == it.url && it.environment["CHATFLOW_PUSH_SERVICE_ACCOUNTS"] == it.caller if !it.open
    ])
    error_message = "A function expects tokens for another audience or from another account than those that are sent."
  }

  assert {
    condition = toset(keys(output.topics)) == toset(["events", "outbound", "calls", "landing", "timers", "failures"]) && alltrue([
      for it in output.functions : it.environment["CHATFLOW_TOPIC_PREFIX"] == "chatflow-"
    ])
    error_message = "There are other topics than the functions publish to."
  }

  # Dead letters.

  assert {
    condition     = alltrue([for topic, it in output.topics : length(it.dead_letters.topic) > 0 && it.dead_letters.attempts == 100])
    error_message = "A topic has no dead letters, or gives up before the functions do."
  }

  assert {
    condition = alltrue([
      for topic, it in output.topics : endswith(it.dead_letters.topic, "/chatflow-failures") if topic != "failures"
      ]) && contains(output.topics["failures"].publishers, output.pubsub_agent) && (
      output.topics["failures"].dead_letter_publishers == toset([output.pubsub_agent])
    )
    error_message = "Pub/Sub may not publish to where dead letters go."
  }

  assert {
    condition     = alltrue([for topic, it in output.topics : it.subscribers == toset([output.pubsub_agent])])
    error_message = "Pub/Sub may not take dead letters out of a subscription, or others may."
  }

  # Who may do what.

  assert {
    condition     = output.topics["landing"].publishers == toset([for name in ["admin", "controller", "messenger", "timekeeper"] : output.functions[name].member])
    error_message = "Others may publish rows than those that write them."
  }

  assert {
    condition     = output.topics["outbound"].publishers == toset([for name in ["admin", "controller", "timekeeper"] : output.functions[name].member])
    error_message = "Others may send replies than those that decide on them."
  }

  assert {
    condition = output.secrets["hr-token"] == toset([output.functions["connector"].member]) && (
      output.secrets["line"] == toset([output.functions["gateway"].member, output.functions["messenger"].member])
    )
    error_message = "A secret can be read by others than the functions that name it."
  }

  assert {
    condition     = output.queue == toset([for name in ["admin", "controller", "timekeeper"] : output.functions[name].member])
    error_message = "Others may set alarms than the functions that do."
  }

  assert {
    condition = output.sweep == {
      uri             = "${output.functions["timekeeper"].url}/sweep"
      audience        = output.functions["timekeeper"].url
      service_account = output.functions["timekeeper"].caller
    }
    error_message = "The sweep calls something else, or in another name."
  }

  assert {
    condition = alltrue([
      for it in output.functions :
      it.environment["CHATFLOW_TASKS_SERVICE_ACCOUNT"] == output.functions["timekeeper"].caller && it.environment["CHATFLOW_TIMEKEEPER_URL"] == output.functions["timekeeper"].url
    ])
    error_message = "Alarms ring elsewhere than at the timekeeper, or in another name."
  }

  assert {
    condition     = output.warehouse.appenders == toset([output.functions["landing"].member]) && output.warehouse.editors == toset([output.functions["admin"].member])
    error_message = "Others may write rows or change tables than those that do."
  }

  # What everybody may call.

  assert {
    condition     = [for name, it in output.functions : name if it.public] == ["gateway"] && alltrue([for it in output.functions : length(setintersection(it.invokers, ["allUsers", "allAuthenticatedUsers"])) == 0])
    error_message = "Something other than webhooks is public."
  }

  assert {
    condition     = output.functions["gateway"].environment["CHATFLOW_ROUTES"] == "webhooks" && !contains(keys(output.functions["admin"].environment), "CHATFLOW_ROUTES")
    error_message = "The public service serves more than webhooks, or the admin's does not serve all."
  }

  assert {
    condition     = output.functions["admin"].invokers == toset(["group:ops@example.com"])
    error_message = "Others than the admins may call the API."
  }

  # The data.

  assert {
    condition     = output.document_store.indexes == length(jsondecode(file("../infra/firestore/indexes.json")).indexes)
    error_message = "Not every index of the code is made."
  }

  assert {
    condition     = output.document_store.expiring == tolist(sort([for it in jsondecode(file("../infra/firestore/indexes.json")).fieldOverrides : "${it.collectionGroup} ${it.fieldPath}" if try(it.ttl, false)]))
    error_message = "Not everything expires that should."
  }

  assert {
    condition = output.warehouse.tables == tolist(["audit", "history", "messages", "tasks"]) && endswith(
      output.warehouse.views["history_current"],
      "FROM `acme-chat.chatflow.history`\nWHERE TRUE\nQUALIFY ROW_NUMBER() OVER (PARTITION BY `task_id`, `sequence` ORDER BY `sequence` DESC) = 1",
    )
    error_message = "The base tables or their views are not those of the code."
  }
}

# The names of settings, as the binaries read them: `infra/environment.json` is held to the code.
run "settings" {
  module {
    source = "./modules/chatflow"
  }

  variables {
    keep      = { history_days = 30, conversations_days = 30, rows_days = 400 }
    log       = "warn"
    collector = "http://collector.internal:4318"
  }

  assert {
    condition = alltrue([
      for name, it in output.functions :
      length(setsubtract(keys(it.environment), jsondecode(file("../infra/environment.json"))[it.image].known)) == 0
    ])
    error_message = "A function gets a variable that its binary does not know: it would not start."
  }

  assert {
    condition = alltrue([
      for name, it in output.functions :
      length(setsubtract(jsondecode(file("../infra/environment.json"))[it.image].required, keys(it.environment))) == 0
    ])
    error_message = "A function lacks a variable that its binary needs: it would not start."
  }

  assert {
    condition = length(setsubtract(
      flatten([for name, it in jsondecode(file("../infra/environment.json")) : it.known if name != "left_out"]),
      concat(
        flatten([for it in output.functions : keys(it.environment)]),
        keys(jsondecode(file("../infra/environment.json")).left_out),
      ),
    )) == 0
    error_message = "A setting of the binaries cannot be set by Terraform, and is not named as left out on purpose."
  }
}

run "webhooks_can_be_forbidden_to_the_public" {
  module {
    source = "./modules/chatflow"
  }

  variables {
    public_webhooks = false
    webhook_callers = ["serviceAccount:partner@example.iam.gserviceaccount.com"]
  }

  assert {
    condition     = alltrue([for it in output.functions : !it.public && length(setintersection(it.invokers, ["allUsers", "allAuthenticatedUsers"])) == 0])
    error_message = "Something is public."
  }

  assert {
    condition     = output.functions["gateway"].invokers == toset(["serviceAccount:partner@example.iam.gserviceaccount.com"])
    error_message = "Others than the partner may call webhooks."
  }
}

run "an_admin_page_for_everybody_is_refused" {
  command = plan

  module {
    source = "./modules/chatflow"
  }

  variables {
    admins = ["allUsers"]
  }

  expect_failures = [var.admins]
}

run "an_image_by_tag_is_refused" {
  command = plan

  module {
    source = "./modules/chatflow"
  }

  variables {
    images = { gateway = "asia-east1-docker.pkg.dev/acme-chat/chatflow/gateway:latest" }
  }

  expect_failures = [var.images]
}

run "a_name_that_hides_where_dead_letters_come_from_is_refused" {
  command = plan

  module {
    source = "./modules/chatflow"
  }

  variables {
    name = "myevents"
  }

  expect_failures = [var.name]
}
