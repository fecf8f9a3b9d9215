#!/bin/sh
# Write users.conf: who may do what. Reads the names of the devices, one a line; a name is the `device` in
# config.yaml and the common name (CN) of the certificate. NATS has no rule for "its own topics", as
# mosquitto's %u, so each device has its own.
#
#   ./users.sh < names > users.conf && nats-server --signal reload
set -eu
cat <<'END'
accounts {
  TALLY {
    jetstream: enabled
    users: [
      # Reads everything, writes nothing.
      { user: "CN=dashboard", permissions: {
        publish: { deny: ">" }, subscribe: ["tally.v1.>", "$MQTT.sub.>"] } }
      # It alone may pause devices, those with `mqtt.allow_pause: on`.
      { user: "CN=homeassistant", permissions: {
        publish: ["homeassistant.>", "tally.v1.*.*.command"],
        subscribe: ["homeassistant.>", "tally.v1.>", "$MQTT.sub.>"] } }
END
while read -r name; do
	case $name in
	'' | *[!A-Za-z0-9_-]* | dashboard | homeassistant)
		echo "users.sh: not the name of a device: '$name'" >&2
		exit 1
		;;
	esac
	cat <<END
      { user: "CN=$name", permissions: {
        publish: ["tally.v1.*.$name.>", "homeassistant.device.*.$name.config"],
        subscribe: ["tally.v1.*.$name.>", "homeassistant.status", "\$MQTT.sub.>"] } }
END
done
cat <<'END'
    ]
  }
  # For the cluster itself; nobody logs in to it.
  SYS {}
}
system_account: SYS
