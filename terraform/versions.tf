# Nothing is applied here: `environments/` holds what is. This directory is the root of `tests/`.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.30, < 7"
    }
  }
}
