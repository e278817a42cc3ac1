# The topology: one entry a function. A new function is a new entry, its image in `images`, and its
# binary in `functions/`.
#
#   image      the binary it runs
#   topic      what wakes it; null: requests do
#   publishes  topics it writes to; nobody else may
#   alarms     whether it sets timers
#   secrets    whether `secrets` may name it as a reader
#   rows       what it does in BigQuery: nothing, `append`, or `edit`
#   open       whether people and channels call it, rather than Google
#   ack        seconds until Pub/Sub delivers a message again; a request may take as long
locals {
  functions = {
    gateway = {
      image     = "gateway", topic = null, open = true
      does      = "Takes webhooks, checks their signatures, publishes what they say"
      publishes = ["events"], alarms = false, secrets = true, rows = null
      ack       = 60, concurrency = 80, cpu = "1", memory = "512Mi", max_instances = 20
    }
    admin = {
      image     = "gateway", topic = null, open = true
      does      = "The API and the admin page, behind Google's sign-in and Chatflow's keys"
      publishes = ["events", "outbound", "calls", "landing"], alarms = true, secrets = true, rows = "edit"
      ack       = 300, concurrency = 80, cpu = "1", memory = "512Mi", max_instances = 5
    }
    controller = {
      image     = "controller", topic = "events", open = false
      does      = "Routes messages to tasks and takes the tasks' steps"
      publishes = ["events", "outbound", "calls", "landing"], alarms = true, secrets = false, rows = null
      ack       = 60, concurrency = 40, cpu = "1", memory = "512Mi", max_instances = 50
    }
    messenger = {
      image     = "messenger", topic = "outbound", open = false
      does      = "Sends replies to channels"
      publishes = ["landing"], alarms = false, secrets = true, rows = null
      ack       = 60, concurrency = 80, cpu = "1", memory = "512Mi", max_instances = 20
    }
    connector = {
      image     = "connector", topic = "calls", open = false
      does      = "Makes the HTTP calls of flows, never to internal addresses"
      publishes = ["events"], alarms = false, secrets = true, rows = null
      ack       = 120, concurrency = 80, cpu = "1", memory = "512Mi", max_instances = 20
    }
    landing = {
      image     = "landing", topic = "landing", open = false
      does      = "Lands tasks, messages and history in BigQuery"
      publishes = [], alarms = false, secrets = false, rows = "append"
      ack       = 120, concurrency = 80, cpu = "1", memory = "512Mi", max_instances = 10
    }
    timekeeper = {
      image = "timekeeper", topic = "timers", open = false
      does  = "Rings timers and sweeps up what was left behind"
      # What the sweep finds may be for any topic.
      publishes = ["events", "outbound", "calls", "landing", "timers", "failures"]
      alarms    = true, secrets = false, rows = null
      ack       = 60, concurrency = 80, cpu = "1", memory = "512Mi", max_instances = 10
    }
    failures = {
      image     = "failures", topic = "failures", open = false
      does      = "Keeps what could not be delivered, for a person to decide"
      publishes = [], alarms = false, secrets = false, rows = null
      ack       = 60, concurrency = 40, cpu = "1", memory = "512Mi", max_instances = 5
    }
  }

  # Where each answers. Cloud Run's addresses of this form are known before the service is there.
  urls = {
    for name in keys(local.functions) :
    name => "https://${var.name}-${name}-${data.google_project.this.number}.${var.region}.run.app"
  }

  # Each topic with the function that it wakes.
  topics = { for name, function in local.functions : function.topic => name if function.topic != null }

  # What Google may use for each: the entry, then what is set for all, then for this one.
  limits = {
    for name, function in local.functions : name => {
      for key, value in {
        concurrency   = function.concurrency
        timeout       = function.ack
        cpu           = function.cpu
        memory        = function.memory
        min_instances = 0
        max_instances = function.max_instances
        cpu_always    = false
        } : key => try(coalesce(
          lookup(var.limits, name, null) == null ? null : var.limits[name][key],
          lookup(var.limits, "default", null) == null ? null : var.limits["default"][key],
      ), value)
    }
  }
}
