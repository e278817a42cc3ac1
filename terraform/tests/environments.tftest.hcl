# What is applied: `dev` costs little and can go, `prod` stays.

variables {
  project = "acme-chat"
  images = {
    for name in ["gateway", "controller", "messenger", "connector", "landing", "timekeeper", "failures"] :
    name => "asia-east1-docker.pkg.dev/acme-chat/chatflow/${name}@sha256:${sha256(name)}"
  }
  admins                = ["group:ops@example.com"]
  domain                = "chat.example.com"
  notification_channels = ["projects/acme-chat/notificationChannels/1"]
}

run "prod_cannot_be_destroyed_by_accident" {
  # Planned only: what must not be destroyed cannot be cleaned up after a test.
  command = plan

  module {
    source = "./environments/prod"
  }

  assert {
    condition     = alltrue(values(output.protection.services)) && length(output.protection.services) == 8
    error_message = "A service can be destroyed."
  }

  assert {
    condition     = alltrue(values(output.protection.tables)) && length(output.protection.tables) == 4 && output.protection.dataset_keeps
    error_message = "Rows can be destroyed."
  }

  assert {
    condition = alltrue([
      output.protection.document_store.deletion == "DELETE_PROTECTION_ENABLED",
      output.protection.document_store.recovery == "POINT_IN_TIME_RECOVERY_ENABLED",
      length(output.protection.document_store.backups) == 2,
    ])
    error_message = "Tasks can be destroyed, or there is nothing to restore them from."
  }

  assert {
    condition     = alltrue([for name in ["gateway", "controller", "messenger"] : output.instances[name][0] >= 1])
    error_message = "What a person waits for is asleep."
  }

  assert {
    condition     = !output.functions["admin"].public && output.functions["admin"].ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "The admin page is public."
  }
}

run "prod_limits_of_one_function_leave_the_rest" {
  command = plan

  module {
    source = "./environments/prod"
  }

  variables {
    limits = { gateway = { max_instances = 40 }, landing = { min_instances = 2 } }
  }

  assert {
    condition     = output.instances["gateway"] == [1, 40] && output.instances["landing"][0] == 2 && output.instances["controller"][0] == 1
    error_message = "A limit of one function takes away what is usual for it, or for others."
  }
}

run "prod_without_anybody_to_tell_is_refused" {
  command = plan

  module {
    source = "./environments/prod"
  }

  variables {
    notification_channels = []
  }

  expect_failures = [var.notification_channels]
}

run "dev_sleeps_and_can_be_destroyed" {
  module {
    source = "./environments/dev"
  }

  assert {
    condition     = alltrue([for it in output.instances : it[0] == 0])
    error_message = "Something stays awake that costs."
  }

  assert {
    condition     = !anytrue(values(output.protection.services)) && !anytrue(values(output.protection.tables)) && output.protection.document_store.deletion == "DELETE_PROTECTION_DISABLED"
    error_message = "It cannot be destroyed."
  }

  assert {
    condition     = !output.functions["admin"].public
    error_message = "The admin page is public."
  }
}
