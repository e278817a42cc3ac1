# One secret without its value: values never come near Terraform or its state. They are added by
# `gcloud secrets versions add` or by an administrator's `PUT /v1/secrets/…`.

resource "google_secret_manager_secret" "this" {
  project   = var.project
  secret_id = var.id
  labels    = merge(var.labels, { app = "chatflow" })

  # A destroyed value can be had back for a week.
  version_destroy_ttl = "604800s"

  replication {
    dynamic "auto" {
      for_each = length(var.locations) == 0 ? [true] : []
      content {
        dynamic "customer_managed_encryption" {
          for_each = var.kms_key == null ? [] : [var.kms_key]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }

    dynamic "user_managed" {
      for_each = length(var.locations) == 0 ? [] : [true]
      content {
        dynamic "replicas" {
          for_each = var.locations
          content {
            location = replicas.value
            dynamic "customer_managed_encryption" {
              for_each = var.kms_key == null ? [] : [var.kms_key]
              content {
                kms_key_name = customer_managed_encryption.value
              }
            }
          }
        }
      }
    }
  }
}

resource "google_secret_manager_secret_iam_binding" "readers" {
  project   = var.project
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretAccessor"
  members   = var.readers
}

resource "google_secret_manager_secret_iam_binding" "writers" {
  count = length(var.writers) > 0 ? 1 : 0

  project   = var.project
  secret_id = google_secret_manager_secret.this.secret_id
  role      = "roles/secretmanager.secretVersionAdder"
  members   = var.writers
}
