# The system that people rely on: always awake where they would notice, backed up, and not to be
# destroyed by accident.

# `terraform destroy` stops here, before it has destroyed anything.
resource "terraform_data" "guard" {
  lifecycle {
    prevent_destroy = true
  }
}

locals {
  # What a person waits for is awake.
  awake = {
    for name in ["gateway", "controller", "messenger"] :
    name => { min_instances = var.min_instances, cpu_always = var.cpu_always }
  }
}

module "chatflow" {
  source = "../../modules/chatflow"

  project         = var.project
  region          = var.region
  images          = var.images
  admins          = var.admins
  analysts        = var.analysts
  secrets         = var.secrets
  public_webhooks = var.public_webhooks
  webhook_callers = var.webhook_callers

  limits = {
    for name in setunion(keys(local.awake), keys(var.limits)) : name => merge(
      lookup(local.awake, name, {}),
      { for key, value in try(var.limits[name], {}) : key => value if value != null },
    )
  }

  keep    = var.keep
  backups = { daily_days = 7, weekly_days = 98, point_in_time_recovery = true }
  edge    = merge({ domain = var.domain }, var.edge)
  alerts  = merge({ notification_channels = var.notification_channels }, var.alerts)
  budget  = var.budget
  kms_key = var.kms_key
  log     = var.log

  collector           = var.collector
  deletion_protection = true
  labels              = { environment = "prod" }
}
