# A system to try things with: it costs next to nothing while nobody talks, and can be destroyed.

module "chatflow" {
  source = "../../modules/chatflow"

  project         = var.project
  region          = var.region
  images          = var.images
  admins          = var.admins
  secrets         = var.secrets
  public_webhooks = var.public_webhooks

  # Everything sleeps until somebody writes.
  limits = { default = { min_instances = 0, cpu_always = false, max_instances = 5 } }

  keep    = { history_days = 30, conversations_days = 30, rows_days = 30 }
  backups = { daily_days = 0, weekly_days = 0, point_in_time_recovery = false }
  alerts  = { notification_channels = var.notification_channels }

  deletion_protection = false
  labels              = { environment = "dev" }
}
