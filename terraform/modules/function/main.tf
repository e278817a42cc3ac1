# One function: a Cloud Run service under an account of its own, and who may call it.

locals {
  ingress = {
    all           = "INGRESS_TRAFFIC_ALL"
    internal      = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    load-balancer = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }
}

resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.account_id
  display_name = "Runs ${var.name}"
  description  = var.description
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project
  location            = var.region
  name                = var.name
  description         = var.description
  labels              = var.labels
  ingress             = local.ingress[var.ingress]
  deletion_protection = var.deletion_protection

  # Not `allUsers`: many organisations forbid it, and mean data when they do.
  invoker_iam_disabled = var.public

  template {
    service_account                  = google_service_account.this.email
    max_instance_request_concurrency = var.limits.concurrency
    timeout                          = "${var.limits.timeout}s"
    encryption_key                   = var.kms_key
    labels                           = var.labels

    scaling {
      min_instance_count = var.limits.min_instances
      max_instance_count = var.limits.max_instances
    }

    containers {
      image = var.image

      resources {
        limits = {
          cpu    = var.limits.cpu
          memory = var.limits.memory
        }
        cpu_idle          = !var.limits.cpu_always
        startup_cpu_boost = true
      }

      ports {
        container_port = 8080
      }

      # A function answers once its connections are open; it takes a fraction of a second. `/readyz` would ask
      # Firestore, and a store that is away, or a role that is a minute old, must not keep instances from starting.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30
        http_get {
          path = "/healthz"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
        http_get {
          path = "/healthz"
        }
      }

      dynamic "env" {
        for_each = var.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secret_environment
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }
    }
  }

  lifecycle {
    # A release shifts requests from revision to revision step by step (`infra/release`), and a
    # rollback shifts them back; Terraform makes revisions and leaves the shares alone.
    ignore_changes = [traffic, client, client_version]
  }
}

# A binding, not members: whoever else was given the role loses it with the next apply.
resource "google_cloud_run_v2_service_iam_binding" "invokers" {
  count = length(var.invokers) > 0 ? 1 : 0

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  members  = var.invokers
}
