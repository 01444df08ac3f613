INSERT INTO kb_bot_devices
  (bot_name, device_id, ip_address, client_type, client_version, status, approved_at, rejection_reason, description, max_message_size, created_at)
VALUES
  ('달빛봇', 'a1b2c3d4e5f60718', '192.168.0.21', 'MessengerBotR', '3.2.2', 'approved', '2025-07-01 09:30:00', NULL, '매장 카운터 폰 📱', 1048576, '2025-07-01 09:12:44'),
  ('달빛봇', 'b2c3d4e5f6071829', '192.168.0.22', 'MessengerBotR', '3.3.0', 'approved', '2025-07-03 14:02:10', NULL, NULL, 3145728, '2025-07-03 13:58:31'),
  ('demo-bot', 'a1b2c3d4e5f60718', '192.168.0.21', 'MessengerBotR', '3.2.2', 'pending', NULL, NULL, NULL, 1048576, '2025-07-10 18:00:02'),
  ('demo-bot', 'c3d4e5f60718293a', '10.8.0.14', 'MessengerBotR', '3.2.0', 'denied', NULL, '등록되지 않은 기기', NULL, 1048576, '2025-07-11 08:41:19'),
  ('demo-bot', 'd4e5f60718293a4b', '10.8.0.15', 'AutoReply', '2.0.1', 'revoked', '2025-07-02 10:00:00', '퇴사자 기기', NULL, 1048576, '2025-07-02 09:55:00'),
  ('demo-bot', 'e5f60718293a4b5c', '203.0.113.7', 'MessengerBotR', '3.2.2', 'blocked', NULL, '도배 🚫', NULL, 1048576, '2025-07-12 23:17:45');

INSERT INTO kb_rooms
  (room_id, bot_name, device_id, room_name, room_concurrency, room_owners, owner_type, owner_id, log_settings, status, approved_at, rejection_reason, description, created_at)
VALUES
  ('18398338829933617', '달빛봇', 'a1b2c3d4e5f60718', '동네 사랑방 🏘️', 2, '["김철수","이영희"]', 'branch', 'BR001', '{"enabled":true,"retention_days":30}', 'approved', '2025-07-01 09:31:12', NULL, '지점 단골 손님방', '2025-07-01 09:30:40'),
  ('18398338829933617', '달빛봇', 'b2c3d4e5f6071829', '동네 사랑방 🏘️', 2, NULL, 'branch', 'BR001', NULL, 'pending', NULL, NULL, NULL, '2025-07-03 14:05:00'),
  ('18398338829933618', 'demo-bot', 'a1b2c3d4e5f60718', '공지방', 2, NULL, NULL, NULL, '{"enabled":false}', 'approved', '2025-07-10 18:10:00', NULL, NULL, '2025-07-10 18:01:00'),
  ('18398338829933619', 'demo-bot', 'a1b2c3d4e5f60718', '광고방', 2, '[]', NULL, NULL, NULL, 'denied', NULL, '광고', NULL, '2025-07-10 18:02:00'),
  ('18398338829933620', 'demo-bot', 'e5f60718293a4b5c', '', 2, NULL, NULL, NULL, NULL, 'blocked', NULL, NULL, NULL, '2025-07-12 23:17:50');

INSERT INTO kb_chat_logs
  (channel_id, user_hash, room_name, sender, message, directive, message_type, is_meaningful, bot_name, is_mention, is_group_chat, log_id, client_timestamp, server_timestamp, is_bot, is_our_bot_response, is_scheduled, created_at)
VALUES
  ('18398338829933617', '5f2b1c9e', '동네 사랑방 🏘️', '김철수', '오늘 딸기 들어왔나요? 🍓', NULL, 'text', 1, '달빛봇', 0, 1, '3312456789012345678', '2025-07-15 10:20:01', '2025-07-15 10:20:02', 0, 0, 0, '2025-07-15 10:20:02'),
  ('18398338829933617', '5f2b1c9e', '동네 사랑방 🏘️', '김철수', '# echo 가족 👨‍👩‍👧‍👦', '# echo', 'command', 1, '달빛봇', 0, 1, '3312456789012345679', '2025-07-15 10:21:30', '2025-07-15 10:21:30', 0, 0, 0, '2025-07-15 10:21:30'),
  ('18398338829933617', '(BOT)', '동네 사랑방 🏘️', '달빛봇', '에코: 가족 👨‍👩‍👧‍👦', '# echo', 'command', 1, '달빛봇', 0, 1, NULL, NULL, '2025-07-15 10:21:30', 1, 1, 0, '2025-07-15 10:21:30');

INSERT INTO kb_ping_monitor
  (bot_name, device_id, client_ip, ping_time_ms, client_timestamp, server_timestamp, total_memory, memory_usage, memory_percent, message_queue_size, active_rooms, process_name, server_cpu_usage, server_cpu_max, server_memory_usage, server_memory_max, created_at)
VALUES
  ('달빛봇', 'a1b2c3d4e5f60718', '192.168.0.21', 48, '2025-07-15 10:20:30', '2025-07-15 10:20:30', 5632, 2890, 51.31, 0, 2, 'domaeka-live-01', 3.20, 11.70, 84.50, 91.25, '2025-07-15 10:20:30'),
  ('달빛봇', 'b2c3d4e5f6071829', '192.168.0.22', 212, '2025-07-15 10:20:31', '2025-07-15 10:20:30', 3712, 3377, 90.97, 4, 1, 'domaeka-live-01', 3.20, 11.70, 84.50, 91.25, '2025-07-15 10:20:30');

INSERT INTO kb_system_monitor
  (server_name, cpu_percent, memory_total, memory_used, memory_percent, disk_usage_percent, active_connections, message_queue_size, created_at)
VALUES
  ('domaeka-live-01', 4.10, 8320901120, 5102346240, 61.32, 47.80, 2, 0, '2025-07-15 10:20:00');

INSERT INTO kb_servers (server_id, server_name, server_host, server_port, status, description, created_at)
VALUES (1, 'domaeka-main', 'localhost', 0, 'healthy', '본 서버', '2025-01-22 00:00:00');

INSERT INTO kb_server_processes
  (server_id, process_name, port, type, pid, status, cpu_usage, memory_usage, last_heartbeat, created_at, updated_at)
VALUES
  (1, 'domaeka-test-01', 1491, 'test', NULL, 'stopped', 0.00, 0.00, NULL, '2025-01-22 00:00:00', '2025-01-22 00:00:00'),
  (1, 'domaeka-live-01', 1496, 'live', 4711, 'running', 3.20, 84.50, '2025-07-15 10:20:30', '2025-01-22 00:00:00', '2025-07-15 10:20:30');

INSERT INTO kb_schedule
  (id, title, created_by_type, created_by_id, created_by_mb_id, target_bot_name, target_device_id, target_room_id, message_text, message_images_1, message_images_2, image_storage_mode, send_interval_seconds, media_wait_time_1, schedule_type, schedule_date, schedule_time, schedule_times, schedule_weekdays, valid_from, valid_until, status, last_sent_at, next_send_at, send_count, created_at, updated_at)
VALUES
  (1, '아침 인사', 'branch', 'BR001', 'admin', '달빛봇', 'a1b2c3d4e5f60718', '18398338829933617', '좋은 아침입니다 ☀️', NULL, NULL, 'file', 1, 0, 'daily', NULL, '09:00:00', '["09:00","18:30"]', NULL, '2025-07-01 00:00:00', '2035-12-31 23:59:59', 'active', '2025-07-15 09:00:01', '2025-07-15 18:30:00', 29, '2025-07-01 10:00:00', '2025-07-15 09:00:01'),
  (2, '주간 특가', 'branch', 'BR001', 'admin', '달빛봇', 'a1b2c3d4e5f60718', '18398338829933617', '이번 주 특가 🛒', '[{"path":"/schedule/2025/07/sale_1.jpg","name":"sale_1.jpg"},{"path":"/schedule/2025/07/sale_2.jpg","name":"sale_2.jpg"}]', '[]', 'file', 3, 2000, 'weekly', NULL, '11:00:00', '["11:00"]', 'monday,thursday', '2025-07-01 00:00:00', '2035-12-31 23:59:59', 'active', NULL, '2025-07-17 11:00:00', 0, '2025-07-01 10:05:00', '2025-07-01 10:05:00'),
  (3, '개업 알림', 'agency', 'AG001', 'owner', 'demo-bot', NULL, '18398338829933618', NULL, '[{"base64":"iVBORw0KGgo=","name":"open.png"}]', NULL, 'base64', 1, 0, 'once', '2025-07-02', '10:00:00', NULL, NULL, '2025-07-01 00:00:00', '2025-07-03 00:00:00', 'completed', '2025-07-02 10:00:02', NULL, 1, '2025-07-01 10:10:00', '2025-07-02 10:00:02');

INSERT INTO kb_schedule_logs
  (schedule_id, target_room_id, sent_message_text, send_components, status, error_message, scheduled_at, started_at, completed_at, duration_ms, created_at)
VALUES
  (1, '18398338829933617', '좋은 아침입니다 ☀️', 'text', 'success', NULL, '2025-07-15 09:00:00', '2025-07-15 09:00:01', '2025-07-15 09:00:01', 35, '2025-07-15 09:00:01'),
  (3, '18398338829933618', NULL, 'images_1', 'failed', '기기가 연결되어 있지 않음', '2025-07-02 10:00:00', '2025-07-02 10:00:02', NULL, NULL, '2025-07-02 10:00:02');
