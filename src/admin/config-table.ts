/**
 * The sub-systems of the server's configuration, with their keys and defaults, as MinIO names them: what may be set, and what is
 * refused as unknown. `identity_*` has an effect after a restart; the others are kept for MinIO, which reads the same document,
 * and say so in their help. Source: admin API §5.
 */
export interface SubSystem {
  readonly description: string;
  /** Key -> default. */
  readonly keys: Readonly<Record<string, string>>;
  /** Takes effect without a restart. */
  readonly isDynamic: boolean;
  /** May there be several, each with a name? */
  readonly hasTargets: boolean;
}

const KEPT = " (kept for MinIO, without effect here)";

function keysFrom(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(" ").map((pair): [string, string] => {
    const equals = pair.indexOf("=");
    return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

function kept(description: string, keys: string, hasTargets = false): SubSystem {
  return { description: description + KEPT, keys: keysFrom(keys), isDynamic: true, hasTargets };
}
function identity(description: string, keys: string, hasTargets = false): SubSystem {
  return { description, keys: keysFrom(keys), isDynamic: false, hasTargets };
}

const WEBHOOK = "enable=off endpoint auth_token client_cert client_key";
const QUEUE = "queue_dir queue_limit=0";

export const SUB_SYSTEMS: ReadonlyMap<string, SubSystem> = new Map([
  [
    "identity_openid",
    identity(
      "OpenID Connect provider for temporary credentials",
      "enable display_name config_url client_id client_secret claim_name=policy claim_userinfo role_policy claim_prefix redirect_uri redirect_uri_dynamic=off scopes vendor keycloak_realm keycloak_admin_url user_readable_claim user_id_claim",
      true,
    ),
  ],
  [
    "identity_ldap",
    identity(
      "LDAP server for temporary credentials",
      "enable server_addr srv_record_name user_dn_search_base_dn user_dn_search_filter user_dn_attributes group_search_filter group_search_base_dn tls_skip_verify=off server_insecure=off server_starttls=off lookup_bind_dn lookup_bind_password",
    ),
  ],
  ["identity_tls", identity("temporary credentials for client certificates", "enable=off skip_verify=off")],
  ["site", kept("name and region of the deployment", "name region")],
  [
    "api",
    kept(
      "the S3 API",
      "requests_max=0 cluster_deadline=10s cors_allow_origin=* remote_transport_deadline=2h list_quorum=strict replication_priority=auto replication_max_workers=500 replication_max_lrg_workers=10 transition_workers=100 stale_uploads_cleanup_interval=6h stale_uploads_expiry=24h delete_cleanup_interval=5m odirect=on gzip_objects=off root_access=on sync_events=off object_max_versions=9223372036854775807",
    ),
  ],
  ["storage_class", kept("parity of storage classes", "standard rrs=EC:1 optimize=availability inline_block")],
  [
    "compression",
    kept(
      "compression of objects",
      "enable=off allow_encryption=off extensions=.txt,.log,.csv,.json,.tar,.xml,.bin mime_types=text/*,application/json,application/xml,binary/octet-stream",
    ),
  ],
  ["scanner", kept("the scanner", "speed=default alert_excess_versions=100 alert_excess_folders=50000")],
  ["heal", kept("healing", "bitrotscan=off max_sleep=250ms max_io=100 drive_workers")],
  ["drive", kept("drives", "max_timeout=30s")],
  [
    "batch",
    kept("batch jobs", "replication_workers_wait=0ms keyrotation_workers_wait=0ms expiration_workers_wait=0ms"),
  ],
  ["ilm", kept("lifecycle", "transition_workers=100 expiration_workers=100")],
  [
    "browser",
    kept("the web console", "csp_policy hsts_seconds=0 hsts_include_subdomains=off hsts_preload=off referrer_policy"),
  ],
  ["subnet", kept("registration with the vendor of MinIO", "license api_key proxy")],
  ["callhome", kept("reports to the vendor of MinIO", "enable=off frequency=24h")],
  ["etcd", kept("etcd", "endpoints path_prefix coredns_path=/skydns client_cert client_cert_key")],
  ["identity_plugin", kept("identity plug-in", "url auth_token role_policy role_id")],
  ["policy_plugin", kept("authorization plug-in", "url auth_token enable_http2=off")],
  [
    "logger_webhook",
    kept(
      "log lines by HTTP",
      `${WEBHOOK} batch_size=1 queue_size=100000 queue_dir proxy max_retry=0 retry_interval=3s http_timeout=5s`,
      true,
    ),
  ],
  [
    "audit_webhook",
    kept(
      "audit lines by HTTP",
      `${WEBHOOK} batch_size=1 queue_size=100000 queue_dir proxy max_retry=0 retry_interval=3s http_timeout=5s`,
      true,
    ),
  ],
  [
    "audit_kafka",
    kept(
      "audit lines to Kafka",
      "enable=off topic brokers sasl=off sasl_username sasl_password sasl_mechanism=plain tls=off tls_skip_verify=off tls_client_auth=0 client_tls_cert client_tls_key version queue_dir queue_size=0",
      true,
    ),
  ],
  ["lambda_webhook", kept("transforming objects by HTTP", WEBHOOK, true)],
  ["notify_webhook", kept("events by HTTP", `${WEBHOOK} ${QUEUE}`, true)],
  [
    "notify_kafka",
    kept(
      "events to Kafka",
      `enable=off topic brokers sasl_username sasl_password sasl_mechanism client_tls_cert client_tls_key tls_client_auth=0 sasl=off tls=off tls_skip_verify=off ${QUEUE} version batch_size=0 batch_commit_timeout=0s compression_codec compression_level`,
      true,
    ),
  ],
  [
    "notify_amqp",
    kept(
      "events to AMQP",
      `enable=off url exchange exchange_type routing_key mandatory=off durable=off no_wait=off internal=off auto_deleted=off delivery_mode=0 publisher_confirms=off ${QUEUE}`,
      true,
    ),
  ],
  [
    "notify_mqtt",
    kept(
      "events to MQTT",
      `enable=off broker topic password username qos=0 keep_alive_interval=0s reconnect_interval=0s ${QUEUE}`,
      true,
    ),
  ],
  [
    "notify_nats",
    kept(
      "events to NATS",
      `enable=off address subject username password token tls=off tls_skip_verify=off cert_authority client_cert client_key ping_interval=0 jetstream=off streaming=off streaming_async=off streaming_max_pub_acks_in_flight=0 streaming_cluster_id ${QUEUE}`,
      true,
    ),
  ],
  ["notify_nsq", kept("events to NSQ", `enable=off nsqd_address topic tls=off tls_skip_verify=off ${QUEUE}`, true)],
  [
    "notify_mysql",
    kept("events to MySQL", `enable=off format=namespace dsn_string table ${QUEUE} max_open_connections=2`, true),
  ],
  [
    "notify_postgres",
    kept(
      "events to PostgreSQL",
      `enable=off format=namespace connection_string table ${QUEUE} max_open_connections=2`,
      true,
    ),
  ],
  ["notify_redis", kept("events to Redis", `enable=off format=namespace address key password user ${QUEUE}`, true)],
  [
    "notify_elasticsearch",
    kept("events to Elasticsearch", `enable=off url format=namespace index username password ${QUEUE}`, true),
  ],
]);

export const COMMENT_KEY = "comment";
export const DEFAULT_TARGET = "_";
