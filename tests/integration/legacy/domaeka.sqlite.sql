-- Domaeka, as its last version leaves it.

CREATE TABLE kb_bot_devices (
  id integer PRIMARY KEY AUTOINCREMENT,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  device_id varchar(100) COLLATE NOCASE NOT NULL,
  ip_address varchar(45) COLLATE NOCASE,
  client_type varchar(50) COLLATE NOCASE,
  client_version varchar(20) COLLATE NOCASE,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'denied', 'revoked', 'blocked')),
  approved_at datetime,
  rejection_reason text COLLATE NOCASE,
  description text COLLATE NOCASE,
  max_message_size integer NOT NULL DEFAULT 1048576,
  image_resize_width integer NOT NULL DEFAULT 900,
  image_resize_enabled boolean NOT NULL DEFAULT 1,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  UNIQUE (bot_name, device_id)
);
CREATE INDEX kb_bot_devices_idx_status ON kb_bot_devices (status);

CREATE TABLE kb_rooms (
  room_id varchar(100) COLLATE NOCASE NOT NULL,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  device_id varchar(100) COLLATE NOCASE NOT NULL,
  room_name varchar(255) COLLATE NOCASE NOT NULL DEFAULT '',
  room_concurrency integer DEFAULT 2,
  room_owners text CHECK (room_owners IS NULL OR json_valid(room_owners)),
  owner_type varchar(20) COLLATE NOCASE CHECK (owner_type IN ('distributor', 'agency', 'branch')),
  owner_id varchar(50) COLLATE NOCASE,
  log_settings text CHECK (log_settings IS NULL OR json_valid(log_settings)),
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'denied', 'revoked', 'blocked')),
  approved_at datetime,
  rejection_reason text COLLATE NOCASE,
  description text COLLATE NOCASE,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  PRIMARY KEY (room_id, bot_name, device_id)
);
CREATE INDEX kb_rooms_idx_bot_name ON kb_rooms (bot_name);
CREATE INDEX kb_rooms_idx_status ON kb_rooms (status);
CREATE INDEX kb_rooms_idx_owner ON kb_rooms (owner_type, owner_id);

CREATE TABLE kb_chat_logs (
  id integer PRIMARY KEY AUTOINCREMENT,
  channel_id varchar(50) COLLATE NOCASE NOT NULL,
  user_hash varchar(100) COLLATE NOCASE,
  room_name varchar(255) COLLATE NOCASE,
  sender varchar(100) COLLATE NOCASE,
  message text COLLATE NOCASE,
  directive varchar(30) COLLATE NOCASE,
  message_type varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'text',
  is_meaningful boolean NOT NULL DEFAULT 0,
  bot_name varchar(30) COLLATE NOCASE,
  is_mention boolean NOT NULL DEFAULT 0,
  is_group_chat boolean NOT NULL DEFAULT 0,
  log_id varchar(50) COLLATE NOCASE,
  client_timestamp datetime,
  server_timestamp datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  is_bot boolean NOT NULL DEFAULT 0,
  is_our_bot_response boolean NOT NULL DEFAULT 0,
  is_scheduled boolean NOT NULL DEFAULT 0,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX kb_chat_logs_idx_channel ON kb_chat_logs (channel_id, server_timestamp);

CREATE TABLE kb_ping_monitor (
  id integer PRIMARY KEY AUTOINCREMENT,
  bot_name varchar(30) COLLATE NOCASE NOT NULL,
  device_id varchar(100) COLLATE NOCASE NOT NULL,
  client_ip varchar(45) COLLATE NOCASE,
  ping_time_ms integer,
  client_timestamp datetime,
  server_timestamp datetime,
  total_memory integer,
  memory_usage integer,
  memory_percent decimal(5,2),
  message_queue_size integer NOT NULL DEFAULT 0,
  active_rooms integer NOT NULL DEFAULT 0,
  process_name varchar(100) COLLATE NOCASE,
  server_cpu_usage decimal(5,2) DEFAULT 0.00,
  server_cpu_max decimal(5,2) DEFAULT 0.00,
  server_memory_usage decimal(10,2) DEFAULT 0.00,
  server_memory_max decimal(10,2) DEFAULT 0.00,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX kb_ping_monitor_idx_bot_device ON kb_ping_monitor (bot_name, device_id);
CREATE INDEX kb_ping_monitor_idx_created_at ON kb_ping_monitor (created_at);

CREATE TABLE kb_system_monitor (
  id integer PRIMARY KEY AUTOINCREMENT,
  server_name varchar(100) COLLATE NOCASE NOT NULL,
  cpu_percent decimal(5,2),
  memory_total integer,
  memory_used integer,
  memory_percent decimal(5,2),
  disk_usage_percent decimal(5,2),
  active_connections integer NOT NULL DEFAULT 0,
  message_queue_size integer NOT NULL DEFAULT 0,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX kb_system_monitor_idx_created_at ON kb_system_monitor (created_at);

CREATE TABLE kb_servers (
  server_id integer PRIMARY KEY AUTOINCREMENT,
  server_name varchar(100) COLLATE NOCASE NOT NULL,
  server_host varchar(255) COLLATE NOCASE NOT NULL,
  server_port integer NOT NULL DEFAULT 0,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'healthy' CHECK (status IN ('healthy', 'warning', 'critical', 'offline')),
  description text COLLATE NOCASE,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime,
  UNIQUE (server_name)
);

CREATE TABLE kb_server_processes (
  id integer PRIMARY KEY AUTOINCREMENT,
  server_id integer NOT NULL,
  process_name varchar(100) COLLATE NOCASE NOT NULL,
  port integer NOT NULL,
  type varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'test' CHECK (type IN ('test', 'live')),
  pid integer,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'stopped' CHECK (status IN ('stopped', 'starting', 'running', 'stopping', 'error', 'crashed')),
  cpu_usage decimal(5,2) DEFAULT 0.00,
  memory_usage decimal(10,2) DEFAULT 0.00,
  last_heartbeat datetime,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  UNIQUE (process_name),
  UNIQUE (server_id, port),
  FOREIGN KEY (server_id) REFERENCES kb_servers (server_id) ON DELETE CASCADE
);

CREATE TABLE kb_schedule (
  id integer PRIMARY KEY AUTOINCREMENT,
  title varchar(255) COLLATE NOCASE NOT NULL,
  description text COLLATE NOCASE,
  created_by_type varchar(20) COLLATE NOCASE NOT NULL CHECK (created_by_type IN ('distributor', 'agency', 'branch')),
  created_by_id varchar(50) COLLATE NOCASE NOT NULL,
  created_by_mb_id varchar(50) COLLATE NOCASE NOT NULL,
  target_bot_name varchar(30) COLLATE NOCASE NOT NULL,
  target_device_id varchar(100) COLLATE NOCASE,
  target_room_id varchar(100) COLLATE NOCASE NOT NULL,
  message_text text COLLATE NOCASE,
  message_images_1 text CHECK (message_images_1 IS NULL OR json_valid(message_images_1)),
  message_images_2 text CHECK (message_images_2 IS NULL OR json_valid(message_images_2)),
  image_storage_mode varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'file' CHECK (image_storage_mode IN ('file', 'base64')),
  send_interval_seconds integer NOT NULL DEFAULT 1,
  media_wait_time_1 integer NOT NULL DEFAULT 0,
  media_wait_time_2 integer NOT NULL DEFAULT 0,
  schedule_type varchar(20) COLLATE NOCASE NOT NULL CHECK (schedule_type IN ('once', 'weekly', 'daily')),
  schedule_date date,
  schedule_time time NOT NULL,
  schedule_times text CHECK (schedule_times IS NULL OR json_valid(schedule_times)),
  schedule_weekdays varchar(70),
  valid_from datetime NOT NULL,
  valid_until datetime NOT NULL,
  status varchar(20) COLLATE NOCASE NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'completed', 'error')),
  last_sent_at datetime,
  next_send_at datetime,
  send_count integer NOT NULL DEFAULT 0,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX kb_schedule_idx_schedule_polling ON kb_schedule (status, next_send_at, valid_from, valid_until);
CREATE INDEX kb_schedule_idx_target ON kb_schedule (target_bot_name, target_device_id);

CREATE TABLE kb_schedule_logs (
  id integer PRIMARY KEY AUTOINCREMENT,
  schedule_id integer NOT NULL,
  target_room_id varchar(100) COLLATE NOCASE NOT NULL,
  sent_message_text text COLLATE NOCASE,
  sent_images_1 text CHECK (sent_images_1 IS NULL OR json_valid(sent_images_1)),
  sent_images_2 text CHECK (sent_images_2 IS NULL OR json_valid(sent_images_2)),
  send_components varchar(50) COLLATE NOCASE,
  status varchar(20) COLLATE NOCASE NOT NULL CHECK (status IN ('success', 'failed', 'partial')),
  error_message text COLLATE NOCASE,
  scheduled_at datetime NOT NULL,
  started_at datetime NOT NULL,
  completed_at datetime,
  duration_ms integer,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (schedule_id) REFERENCES kb_schedule (id) ON DELETE CASCADE
);
CREATE INDEX kb_schedule_logs_idx_status_time ON kb_schedule_logs (status, scheduled_at);

